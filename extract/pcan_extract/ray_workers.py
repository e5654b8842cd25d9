"""The workers of `pool` as actors of Ray Data: on this machine, or on a cluster whose machines share a file system."""

import builtins
import importlib.util
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from pcan_extract.pool import WorkerDied
from pcan_pose.errors import ExtractionError, MissingDependencyError

Task = TypeVar("Task")
Result = TypeVar("Result")

_TRIES = 2
_ATTEMPTS = 3
_CHUNK_BYTES = 64 * 1024**2
_STORE_BYTES = 4 * _CHUNK_BYTES
# Seconds; network file systems rely on what they know of a folder for up to a minute.
_PATIENCE = 90.0

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray says on the screen that a worker died; the report says so too, and which video it was.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # An actor that reserves no GPU sees all of them, as a process of `pool` does.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class RayWorkers(Generic[Task, Result]):
    """Ray actors that run one function over many tasks, in the place of `pool.Workers`.

    When an actor dies, Ray starts another and runs the task again: the task whose actor dies twice is the culprit.
    Actors work in this process's directory where their machine has it; elsewhere the tasks' paths must be absolute.

    Args:
        function: What to run.
        count: Actors, >= 1, each on a CPU; also the most tasks that are under way. None takes all CPUs that Ray has.
        initializer: Run once in each actor, before its first task.
        arguments: The initializer's arguments.
        address: Cluster to join, ``auto`` or ``HOST:PORT``. None takes the one that the program has joined or that
            ``RAY_ADDRESS`` names, and otherwise starts Ray on this machine, for the duration of a run.
        gpus: GPUs that each actor reserves, >= 0, also a fraction.
        written: Gives the file that a task has written for this process, or None. The result is held back until this
            machine sees the file.

    Raises:
        MissingDependencyError: If Ray Data is not installed.
    """

    def __init__(
        self,
        function: Callable[[Task], Result],
        count: int | None,
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
        *,
        address: str | None = None,
        gpus: float = 0.0,
        written: Callable[[Task, Result], Path | None] | None = None,
    ) -> None:
        # Looked for, not imported: that takes seconds.
        if any(importlib.util.find_spec(name) is None for name in ("ray", "pandas")):
            raise MissingDependencyError("engine 'ray' needs Ray Data: pip install 'pcan-pose[ray]'")
        self._start = function, initializer, arguments
        self._count = count
        self._address = address
        self._gpus = gpus
        self._written = written

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | WorkerDied]]:
        """Return an iterator over tasks and their results, in the order in which they end.

        Many tasks are taken ahead, up to a fixed size of their pickles. Leaving the iteration early ends the actors.

        Raises:
            ExtractionError: If Ray cannot be joined or started, its actors die without working on anything, or this
                machine does not see the files that they write.
        """
        chunks = _chunks(tasks)
        chunk = next(chunks, None)
        if chunk is None:
            return
        with _connected(self._address, self._count):
            while chunk is not None:
                with closing(self._results(chunk)) as results:
                    for number, result in results:
                        task: Task = pickle.loads(chunk[number])
                        if self._written is not None and not isinstance(result, WorkerDied):
                            _wait_for(self._written(task, result))
                        yield task, result
                chunk = next(chunks, None)

    def _results(self, tasks: list[bytes]) -> Generator[tuple[int, Result | WorkerDied], None, None]:
        import ray
        from ray.data import ActorPoolStrategy, from_items
        from ray.exceptions import RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        count = min(self._count or int(ray.cluster_resources().get("CPU", 1)), len(tasks))
        # On this machine, so that it lives as long as this process.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        ledger = ray.remote(_Ledger).options(num_cpus=0, scheduling_strategy=here).remote(count)
        # A block is what Ray hands out, and what it runs again.
        rows = [{"number": number, "task": task} for number, task in enumerate(tasks)]
        dataset = from_items(rows, override_num_blocks=len(rows))
        dataset.context.enable_progress_bars = False
        # A long video is no standstill.
        dataset.context.execution_no_progress_timeout_s = -1
        dataset = dataset.map(
            _Actor,
            fn_constructor_args=(ray.cloudpickle.dumps(self._start), str(Path.cwd()), ledger),
            # No task queues for a certain actor, so that a long video holds up nothing.
            compute=ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=self._gpus or None,
        )
        blocks = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        try:
            with _print_kept(), _threads_ended(), closing(iter(blocks)) as opened:
                for block in opened:
                    for row in block.to_pylist():
                        result = pickle.loads(row["result"])
                        if row["raised"]:
                            raise result
                        yield row["number"], result
        except RayError as error:
            raise ExtractionError(f"engine 'ray' cannot go on: {_cause(error)}.") from error


class _Ledger:
    """A Ray actor that counts how often each task was begun without coming to its end."""

    def __init__(self, count: int) -> None:
        self._begun: Counter[int] = Counter()
        self._opened = 0
        self._most = count + _ATTEMPTS

    def open(self) -> bool:
        """Return whether to start one more actor, or too many have died without beginning a task."""
        self._opened += 1
        return self._opened <= self._most

    def begin(self, number: int) -> bool:
        """Return whether to run a task, or it has killed its actors."""
        self._opened = 0
        self._begun[number] += 1
        return self._begun[number] <= _TRIES

    def end(self, number: int) -> None:
        del self._begun[number]


class _Actor:
    """What Ray Data makes actors of."""

    def __init__(self, start: bytes, folder: str, ledger: Any) -> None:
        import ray

        if not ray.get(ledger.open.remote()):
            raise RuntimeError("actors die before they get any work; look for a limit on memory or processes")
        with suppress(OSError):
            os.chdir(folder)
        self._ledger = ledger
        # Unpickled here, as this imports the packages of the backend, which may be what kills the actor.
        self._function, initializer, arguments = pickle.loads(start)
        initializer(*arguments)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        number = row["number"]
        result: Any = WorkerDied()
        raised = False
        if ray.get(self._ledger.begin.remote(number)):
            try:
                result = self._function(pickle.loads(row["task"]))
            except Exception as error:
                # It ends the run, but not as an error of Ray.
                result, raised = error, True
        self._ledger.end.remote(number)
        return {"number": number, "result": pickle.dumps(result), "raised": raised}


def _chunks(tasks: Iterable[Any]) -> Iterator[list[bytes]]:
    """Return an iterator over lists of pickled tasks that fit into memory together."""
    chunk: list[bytes] = []
    size = 0
    for task in tasks:
        chunk.append(pickle.dumps(task))
        size += len(chunk[-1])
        if size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@contextmanager
def _connected(address: str | None, count: int | None) -> Iterator[None]:
    """Return a context in which Ray runs."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.data

    if address is None and ray.is_initialized():
        yield
        return
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"num_cpus": count, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    try:
        if address is not None and ":" in address:
            # Ray would try for minutes.
            host, port = address.removeprefix("ray://").rsplit(":", 1)
            socket.create_connection((host, int(port)), timeout=10).close()
        with _sigterm_kept(), _silence():
            ray.init(address or "local", **options)
    except (OSError, RuntimeError, ValueError) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise ExtractionError(f"engine 'ray': no Ray {where} ({_cause(error)}).") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Return a context that leaves this process's answer to SIGTERM as it was; Ray sets its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _print_kept() -> Iterator[None]:
    """Return a context that leaves the program's print as it was; Ray puts its own there when a worker dies."""
    before = builtins.print
    try:
        yield
    finally:
        builtins.print = before


@contextmanager
def _threads_ended() -> Iterator[None]:
    """Return a context that waits for the threads that Ray Data has started in it, some of which outlive an iteration.

    Ray ends this process, without a word, when one of its threads comes back to it after its shutdown.
    """
    before = set(threading.enumerate())
    try:
        yield
    finally:
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith(("iter_threaded", "StreamingExecutor")):
                thread.join(_PATIENCE)


@contextmanager
def _silence() -> Iterator[None]:
    """Return a context in which nothing is written to standard error, by Ray's C++ code either."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _wait_for(path: Path | None) -> None:
    end = time.monotonic() + _PATIENCE
    while path is not None and not path.exists():
        if time.monotonic() > end:
            raise ExtractionError(
                f"{path}: a Ray worker has written this file, but it is not on this machine; "
                "extract into a folder of a file system that all machines of the cluster share."
            )
        # Listing a folder makes a network file system ask its server again.
        with suppress(OSError):
            os.listdir(path.parent)
        time.sleep(0.1)


def _cause(error: BaseException) -> str:
    """Return the last line of the first error that has one; Ray quotes the traceback of its worker above it."""
    chain: BaseException | None = error
    while chain is not None and not str(chain).strip():
        chain = chain.__cause__
    return str(chain or error).strip().rpartition("\n")[2].strip().rstrip(".")
