"""Worker processes that may die without taking the run with them.

Each task is run in one of several processes. When a process dies (a decoder crashes, memory runs out), every task that
was under way is run again, alone: the one whose process dies a second time is the culprit.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from pcan_pose.errors import ExtractionError

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkerDied:
    """Says in place of a result that the process which worked on the task died."""


class Workers(Generic[Task, Result]):
    """Processes that run one function over many tasks.

    They are spawned, not forked, so that threads and GPU contexts of this process do no harm; the program's main module
    must therefore be importable without side effects.

    Args:
        function: What to run; a module's function, as it is pickled.
        count: Processes, >= 1; also the most tasks that are under way.
        initializer: Run once in each process, before its first task.
        arguments: The initializer's arguments.
    """

    def __init__(
        self,
        function: Callable[[Task], Result],
        count: int,
        initializer: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> None:
        self._function = function
        self._count = count
        self._initializer = initializer
        self._arguments = arguments

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | WorkerDied]]:
        """Return an iterator over tasks and their results, in the order in which they end.

        Tasks are taken as processes become free. Leaving the iteration early ends the processes at once.

        Raises:
            ExtractionError: If processes die without working on anything.
        """
        waiting = iter(tasks)
        suspects: deque[Task] = deque()
        running: dict[Future[Result], Task] = {}
        alone = False
        pool = _Pool(self._count, self._initializer, self._arguments)
        try:
            while True:
                if not running:
                    alone = bool(suspects)
                    if suspects:
                        task = suspects.popleft()
                        running[pool.submit(self._function, task)] = task
                while not alone and len(running) < self._count:
                    try:
                        task = next(waiting)
                    except StopIteration:
                        break
                    running[pool.submit(self._function, task)] = task
                if not running:
                    pool.close(at_once=False)
                    return
                # On Windows an endless wait would not hear Ctrl-C.
                done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                dead: list[Task] = []
                for future in done:
                    task = running.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        dead.append(task)
                    else:
                        yield task, result
                if dead:
                    dead += running.values()
                    running.clear()
                    pool.close()
                    if alone:
                        yield dead[0], WorkerDied()
                    else:
                        suspects.extend(dead)
                    pool = _Pool(self._count, self._initializer, self._arguments)
        finally:
            pool.close()


class _Pool:
    """A process pool whose processes end when this object is closed or this process dies, whatever they are doing."""

    _ATTEMPTS = 3

    def __init__(self, count: int, initializer: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._settings = count, initializer, arguments
        self._open()

    def _open(self) -> None:
        count, initializer, arguments = self._settings
        context = multiprocessing.get_context("spawn")
        self._read_end, self._lifeline = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            count, mp_context=context, initializer=_start_process, initargs=(self._read_end, initializer, arguments)
        )

    def submit(self, function: Callable[[Task], Result], task: Task) -> "Future[Result]":
        for _ in range(self._ATTEMPTS):
            try:
                return self._executor.submit(function, task)
            except BrokenProcessPool:
                # A process that had nothing to do was killed from outside.
                self.close()
                self._open()
        raise ExtractionError("worker processes die before they get any work; look for a limit on memory or processes.")

    def close(self, *, at_once: bool = True) -> None:
        if at_once:
            self._lifeline.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._lifeline.close()
        self._read_end.close()


def _start_process(lifeline: Connection, initializer: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches the whole process group; the main process decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()
    initializer(*arguments)


def _die_with(lifeline: Connection) -> None:
    """Return never; end this process when the other end of the pipe is closed, also by its process being killed."""
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
