"""The workers of `pool` as actors of Ray Data: on this machine, or on a cluster whose machines share a file system."""

import importlib.util
import os
import pickle
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from pcan_extract.pool import WorkerDied
from pcan_extract.ray_session import cause, connected, print_kept, threads_ended
from pcan_pose.errors import ExtractionError, MissingDependencyError

Task = TypeVar("Task")
Result = TypeVar("Result")

_TRIES = 2
_ATTEMPTS = 3
_CHUNK_BYTES = 64 * 1024**2
# Seconds; network file systems rely on what they know of a folder for up to a minute.
_PATIENCE = 90.0


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
        written: Gives the files that a task has written for this process. The result is held back until this machine
            sees them.

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
        written: Callable[[Task, Result], Iterable[Path]] | None = None,
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
        with connected(self._address, self._count):
            while chunk is not None:
                with closing(self._results(chunk)) as results:
                    for number, result in results:
                        task: Task = pickle.loads(chunk[number])
                        if self._written is not None and not isinstance(result, WorkerDied):
                            for path in self._written(task, result):
                                _wait_for(path)
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
            with print_kept(), threads_ended(), closing(iter(blocks)) as opened:
                for block in opened:
                    for row in block.to_pylist():
                        result = pickle.loads(row["result"])
                        if row["raised"]:
                            raise result
                        yield row["number"], result
        except RayError as error:
            raise ExtractionError(f"engine 'ray' cannot go on: {cause(error)}.") from error


class _Ledger:
    """A Ray actor that keeps how often each task was begun without coming to its end, and how those that did ended.

    Ray runs a task again when its actor dies just after it, even if the result has been handed on by then. Whoever
    got that result counts on the task being over, so the second run is answered from here.
    """

    def __init__(self, count: int) -> None:
        self._begun: Counter[int] = Counter()
        self._ended: dict[int, dict[str, Any]] = {}
        self._opened = 0
        self._most = count + _ATTEMPTS

    def open(self) -> bool:
        """Return whether to start one more actor, or too many have died without beginning a task."""
        self._opened += 1
        return self._opened <= self._most

    def begin(self, number: int) -> dict[str, Any] | None:
        """Return None to run a task; otherwise how it has ended before, or that it kills its actors."""
        self._opened = 0
        if number not in self._ended:
            self._begun[number] += 1
            if self._begun[number] > _TRIES:
                self._ended[number] = _answer(number, WorkerDied())
        return self._ended.get(number)

    def end(self, number: int, answer: dict[str, Any]) -> None:
        self._ended[number] = answer


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
        answer: dict[str, Any] | None = ray.get(self._ledger.begin.remote(number))
        if answer is None:
            try:
                answer = _answer(number, self._function(pickle.loads(row["task"])))
            except Exception as error:
                # It ends the run, but not as an error of Ray.
                answer = _answer(number, error, raised=True)
            # Waited for: nobody has the answer before the ledger has it.
            ray.get(self._ledger.end.remote(number, answer))
        return answer


def _answer(number: int, result: Any, *, raised: bool = False) -> dict[str, Any]:
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


def _wait_for(path: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not path.exists():
        if time.monotonic() > end:
            raise ExtractionError(
                f"{path}: a Ray worker has written this file, but it is not on this machine; "
                "extract into a folder of a file system that all machines of the cluster share."
            )
        # Listing a folder makes a network file system ask its server again.
        with suppress(OSError):
            os.listdir(path.parent)
        time.sleep(0.1)
