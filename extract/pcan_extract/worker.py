"""What one worker process does: videos in, staged clips out."""

import errno
import os
import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from pcan_extract.backends.base import Estimate, PoseBackend
from pcan_extract.decoding import DecodeAhead
from pcan_extract.estimation import ClipOptions, estimate_each, make_clip
from pcan_extract.found import Found, count_found
from pcan_extract.inputs import VideoInput
from pcan_extract.staging import Staging
from pcan_pose.errors import PcanError
from pcan_pose.keypoints import Clip

DECODED_AHEAD = 3
"""Most videos that wait, decoded as far as `DecodeAhead` goes, behind the one that is estimated."""

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class ExtractTask:
    """Extract videos and stage their clips.

    Args:
        videos: The videos, one or, for backends whose batches go on with the next video, several.
        then: The videos that this process gets next, to be decoded in advance; empty if that is not sure.
    """

    videos: tuple[VideoInput, ...]
    then: tuple[VideoInput, ...] = ()


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

    @property
    def videos(self) -> tuple[VideoInput]:
        """The video, in the way of `ExtractTask`."""
        return (self.video,)


@dataclass(frozen=True)
class Outcome:
    """What became of a task's video.

    Args:
        frames: Frames worked on; 0 after a failure.
        found: How much of the clip was found; None after a failure, and of an overlay.
        seconds: Time that went into it; of videos in common batches, their share.
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


class _Worker:
    """A process's opened backend, kept from task to task, and the decoders of the videos that come next."""

    def __init__(self, backend: PoseBackend, staging: Staging, options: ClipOptions) -> None:
        self.folder = staging.folder
        self._backend = backend
        self._staging = staging
        self._options = options
        self._opened: PoseBackend | None = None
        self._ahead: dict[Path, DecodeAhead] = {}
        self._stack = ExitStack()

    def extract(self, task: ExtractTask) -> Generator[Outcome, None, None]:
        start = time.perf_counter()
        if self._opened is None:
            # The first video is decoded while the networks are loaded.
            self._decode(task.videos[:1])
            try:
                self._opened = self._stack.enter_context(self._backend)
            except Exception as error:
                self._decode(())
                text = f"backend {self._backend.name!r} cannot be loaded: {_tell(error)}"
                yield Outcome(error=text, fatal=True, seconds=time.perf_counter() - start)
                return
        decoders: list[DecodeAhead] = []
        with closing(self._decoders(task, decoders)) as opened:
            for video, estimated in zip(task.videos, estimate_each(self._opened, opened), strict=True):
                start = time.perf_counter()
                try:
                    outcome = self._store(video, estimated.result, decoders.pop(0))
                except Exception as error:
                    outcome = _failed(error, self.folder)
                yield replace(outcome, seconds=estimated.seconds + time.perf_counter() - start)

    def overlay(self, task: OverlayTask) -> Generator[Outcome, None, None]:
        from pcan_extract.overlay import write_overlay

        start = time.perf_counter()
        write_overlay(task.video.path, task.clip, self._staging.header.skeleton, task.target)
        yield Outcome(frames=task.clip.keypoints.shape[1], seconds=time.perf_counter() - start)

    def _decoders(self, task: ExtractTask, taken: list[DecodeAhead]) -> Generator[DecodeAhead, None, None]:
        """Yield the decoder of each of a task's videos, and start those behind it; what is taken is noted."""
        videos = (*task.videos, *task.then)
        for i, video in enumerate(task.videos):
            self._decode(videos[i : i + 1 + DECODED_AHEAD])
            taken.append(self._ahead.pop(video.path))
            yield taken[-1]

    def _decode(self, videos: Sequence[VideoInput]) -> None:
        """Return nothing; have these videos decoded in advance, and no others."""
        wanted = dict.fromkeys(video.path for video in videos)
        for path in self._ahead.keys() - wanted.keys():
            self._ahead.pop(path).close()
        for path in wanted:
            if path not in self._ahead:
                self._ahead[path] = DecodeAhead(path)

    def _store(self, video: VideoInput, estimate: Estimate | Exception, decoder: DecodeAhead) -> Outcome:
        if isinstance(estimate, Exception):
            raise estimate
        assert self._opened is not None
        info = decoder.measured
        clip = make_clip(video, estimate, info, self._opened, self._staging.header.layout, self._options)
        self._staging.stage(clip)
        found = count_found(clip.scores, self._staging.header.skeleton)
        return Outcome(frames=info.frames, found=found, variable=info.variable)


_worker: _Worker


def start_worker(backend: PoseBackend, staging: Staging, options: ClipOptions) -> None:
    """Return nothing; make this process ready for `run_task`."""
    global _worker
    _worker = _Worker(backend, staging, options)


def run_task(task: ExtractTask | OverlayTask) -> list[Outcome]:
    """Return how a task ended, for each of its videos; an input's fault is an outcome, not an exception."""
    outcomes: list[Outcome] = []
    start = time.perf_counter()
    try:
        # Closed at once, as an error's traceback would keep decoders at work.
        with closing(_worker.extract(task) if isinstance(task, ExtractTask) else _worker.overlay(task)) as running:
            for outcome in running:
                outcomes.append(outcome)
                if outcome.fatal:
                    break
    except Exception as error:
        outcome = _failed(error, task.target.parent if isinstance(task, OverlayTask) else _worker.folder)
        outcomes.append(replace(outcome, seconds=time.perf_counter() - start))
    # What ends a task early is wrong with the rest of it, too.
    return outcomes + [replace(outcomes[-1], seconds=0.0)] * (len(task.videos) - len(outcomes))


def _failed(error: Exception, folder: Path) -> Outcome:
    fault = write_fault(error, folder)
    return Outcome(error=fault or _tell(error), fatal=fault is not None)


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
