"""Locks on the folder of a keypoint set, so that no two jobs make the same shard.

A job that makes everything has the folder to itself. Jobs that share the work are in it together, each alone on its
share. Locks end with their process at the latest. Where the system has no file locks (Windows), nothing is checked.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pcan_extract.share import Share, jobs_of
from pcan_pose.errors import ExtractionError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = "lock"
"""How the names of lock files begin."""

_PLANNING = ".plan"


class FolderLock:
    """The right to extract a share into a folder.

    Args:
        folder: Folder of the lock files, in the keypoint set's; made, and removed if it is empty at the end.
        share: This job's share.

    Raises:
        ExtractionError: If another process has that right; on entering, or on `planning`.
    """

    def __init__(self, folder: Path, share: Share) -> None:
        self._folder = folder
        self._share = share
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if fcntl is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self
        kind = fcntl.LOCK_EX if self._share.whole else fcntl.LOCK_SH
        with ExitStack() as stack:
            self._file = stack.enter_context(self._held("", kind | fcntl.LOCK_NB, "; wait for it."))
            if not self._share.whole:
                text = f" as job {self._share}; give each job its own number."
                stack.enter_context(self._held(self._share.suffix, fcntl.LOCK_EX | fcntl.LOCK_NB, text))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack, suppress(OSError):
            if fcntl is not None:
                # The last one out tidies up; while others are in, this fails.
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The main lock sorts first and goes last: it keeps others out until then.
            for path in sorted(self._folder.glob(f"{LOCK_NAME}*"), reverse=True):
                path.unlink()
            self._folder.rmdir()

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Return a context in which no other job plans; waits for the others."""
        if fcntl is None:
            yield
            return
        with self._held(_PLANNING, fcntl.LOCK_EX, ""):
            for path in self._folder.glob(f"{LOCK_NAME}*"):
                suffix = path.name.removeprefix(LOCK_NAME)
                if (jobs := jobs_of(suffix)) not in (None, 1, self._share.jobs):
                    text = f" as one of {jobs} jobs, this one is one of {self._share.jobs}; give all the same number."
                    with self._held(suffix, fcntl.LOCK_EX | fcntl.LOCK_NB, text):
                        path.unlink()
            yield

    @contextmanager
    def _held(self, suffix: str, kind: int, refusal: str) -> Iterator[int]:
        """Return a context in which a lock file is held, as its descriptor."""
        path = self._folder / f"{LOCK_NAME}{suffix}"
        while True:
            # The folder or the file may vanish at any moment, when another job ends.
            self._folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(file, kind)
                    # A lock on a file that has been removed in the meantime keeps nobody out.
                    if os.path.samestat(os.fstat(file), path.stat()):
                        break
                except BlockingIOError as error:
                    os.close(file)
                    text = f"{self._folder.parent}: another process extracts into this folder{refusal}"
                    raise ExtractionError(text) from error
                os.close(file)
        try:
            yield file
        finally:
            os.close(file)
