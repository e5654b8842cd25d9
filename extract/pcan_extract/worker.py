"""What one worker process does: a video in, a staged clip out."""

import errno
import os
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from pcan_extract.backends.base import PoseBackend
from pcan_extract.decoding import DecodeAhead
from pcan_extract.estimation import estimate_video
from pcan_extract.found import Found, count_found
from pcan_extract.inputs import VideoInput
from pcan_extract.smoothing import Processing
from pcan_extract.staging import Staging
from pcan_pose.errors import PcanError
from pcan_pose.keypoints import Clip

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class ExtractTask:
    """Extract a video and stage the clip.

    Args:
        video: The video.
        then: The video that this process gets next, to be decoded in advance; None if that is not sure.
    """

    video: VideoInput
    then: VideoInput | None = None


@dataclass(frozen=True)
class OverlayTask:
    """Draw a clip over its video.

    Args:
        video: The video.
        clip: Its keypoints.
        target: The file to write.
    """

    video: VideoInput
    clip: Clip
    target: Path


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Args:
        frames: Frames worked on; 0 after a failure.
        found: How much of the clip was found; None after a failure, and of an overlay.
        seconds: Wall time.
        error: What is wrong with the input, or None.
        fatal: Whether the error concerns the backend or the disk, and thus every input.
        variable: Whether the video's frames are unevenly spaced in time.
    """

    frames: int = 0
    found: Found | None = None
    seconds: float = 0.0
    error: str | None = None
    fatal: bool = False
    variable: bool = False


@dataclass(frozen=True)
class ClipOptions:
    """What is made of an estimate before it is stored.

    Args:
        allow_missing: Whether joints that the backend's layout cannot give get score 0 instead of being an error.
        processing: Closes gaps and smooths.
    """

    allow_missing: bool = False
    processing: Processing = Processing()


class _Worker:
    """A process's opened backend, kept from task to task, and the decoder of the video that comes next."""

    def __init__(self, backend: PoseBackend, staging: Staging, options: ClipOptions) -> None:
        self.folder = staging.folder
        self._backend = backend
        self._staging = staging
        self._options = options
        self._opened: PoseBackend | None = None
        self._next: DecodeAhead | None = None
        self._stack = ExitStack()

    def extract(self, task: ExtractTask) -> Outcome:
        decoder = self._decoder(task.video)
        if self._opened is None:
            try:
                self._opened = self._stack.enter_context(self._backend)
            except Exception as error:
                decoder.close()
                return Outcome(error=f"backend {self._backend.name!r} cannot be loaded: {_tell(error)}", fatal=True)
        if task.then is not None:
            self._next = DecodeAhead(task.then.path)
        layout, options = self._staging.header.layout, self._options
        clip, info = estimate_video(
            task.video,
            self._opened,
            layout,
            allow_missing=options.allow_missing,
            processing=options.processing,
            decoder=decoder,
        )
        self._staging.stage(clip)
        found = count_found(clip.scores, self._staging.header.skeleton)
        return Outcome(frames=info.frames, found=found, variable=info.variable)

    def overlay(self, task: OverlayTask) -> Outcome:
        from pcan_extract.overlay import write_overlay

        write_overlay(task.video.path, task.clip, self._staging.header.skeleton, task.target)
        return Outcome(frames=task.clip.keypoints.shape[1])

    def _decoder(self, video: VideoInput) -> DecodeAhead:
        """Return the video's decoder: the one that is ahead, or a new one."""
        ahead, self._next = self._next, None
        if ahead is not None and ahead.path == video.path:
            return ahead
        if ahead is not None:
            ahead.close()
        return DecodeAhead(video.path)


_worker: _Worker


def start_worker(backend: PoseBackend, staging: Staging, options: ClipOptions) -> None:
    """Return nothing; make this process ready for `run_task`."""
    global _worker
    _worker = _Worker(backend, staging, options)


def run_task(task: ExtractTask | OverlayTask) -> Outcome:
    """Return how a task ended; an input's fault is an outcome, not an exception."""
    start = time.monotonic()
    try:
        outcome = _worker.extract(task) if isinstance(task, ExtractTask) else _worker.overlay(task)
    except Exception as error:
        fault = write_fault(error, task.target.parent if isinstance(task, OverlayTask) else _worker.folder)
        outcome = Outcome(error=fault or _tell(error), fatal=fault is not None)
    return replace(outcome, seconds=time.monotonic() - start)


def write_fault(error: BaseException, folder: Path) -> str | None:
    """Return what to tell a user of an error if it says that a folder cannot be written, else None.

    Args:
        error: The error.
        folder: The folder. Faults of inputs are no such errors: `VideoReader` says them in its own words.
    """
    # PyAV's errors have a number, but are no OSError.
    if (number := getattr(error, "errno", None)) not in _UNWRITABLE:
        return None
    return (
        f"{folder}: cannot be written ({os.strerror(number)}); finished clips are kept: mend this, then run the same "
        "command again."
    )


def _tell(error: Exception) -> str:
    if isinstance(error, PcanError):
        return " ".join(error.faults)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno}); report this."
