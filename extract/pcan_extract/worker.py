"""What one worker process does: a video in, a staged clip out.

Shapes: T frames, M persons, V joints.
"""

import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcan_extract.backends.base import Estimate, PoseBackend
from pcan_extract.inputs import VideoInput
from pcan_extract.staging import Staging
from pcan_extract.video import VideoInfo, VideoReader
from pcan_pose.errors import ExtractionError, PcanError
from pcan_pose.keypoints import Clip
from pcan_pose.skeleton import map_layout, skeleton


@dataclass(frozen=True)
class ExtractTask:
    """Extract a video and stage the clip."""

    video: VideoInput


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
        error: What is wrong with the input, or None.
        fatal: Whether the error concerns the backend and thus every input.
        variable: Whether the video's frames are unevenly spaced in time.
    """

    frames: int = 0
    error: str | None = None
    fatal: bool = False
    variable: bool = False


def estimate_video(video: VideoInput, backend: PoseBackend, layout: str) -> tuple[Clip, VideoInfo]:
    """Return the clip of one video in a layout, and what was measured of the video.

    Where a joint was not found (score 0), its coordinates are 0.

    Args:
        video: The video.
        backend: An entered backend.
        layout: Layout of the result, a key of `SKELETONS`.

    Raises:
        ExtractionError: If the video cannot be decoded to its end, or the backend's answer does not fit it.
        SkeletonError: If the backend's layout cannot be mapped.
    """
    with VideoReader(video.path) as reader:
        frames = reader.frames()
        estimate = backend.estimate(frames, reader.info)
        # A backend that stops early must not hide how the video ends.
        for _ in frames:
            pass
        info = reader.info
    _check(estimate, backend, info, video.path)
    keypoints, scores = map_layout(*estimate, backend.layout, layout)  # (T, M, V, 2), (T, M, V)
    if not scores.shape[1]:
        # Nobody in the whole video: one person that is never found keeps the frames.
        joints = skeleton(layout).num_joints
        keypoints = np.zeros((info.frames, 1, joints, 2), np.float32)
        scores = np.zeros((info.frames, 1, joints), np.float32)
    keypoints = np.where(scores[..., None] > 0, keypoints, np.float32(0))
    clip = Clip(
        clip_id=video.clip_id,
        keypoints=np.ascontiguousarray(keypoints.swapaxes(0, 1), dtype=np.float32),  # (M, T, V, 2)
        scores=np.ascontiguousarray(scores.swapaxes(0, 1), dtype=np.float32),  # (M, T, V)
        splits=video.splits,
        label=video.label,
        subject=video.subject,
        fps=info.fps,
        width=info.width,
        height=info.height,
        source=video.source,
    )
    return clip, info


def _check(estimate: Estimate, backend: PoseBackend, info: VideoInfo, path: Path) -> None:
    keypoints, scores = estimate
    joints = skeleton(backend.layout).num_joints
    faults = []
    if keypoints.ndim != 4 or keypoints.shape[::2] != (info.frames, joints) or keypoints.shape[3] != 2:
        faults.append(f"keypoints {keypoints.shape}, expected ({info.frames}, M, {joints}, 2)")
    if scores.shape != keypoints.shape[:-1]:
        faults.append(f"scores {scores.shape}, expected {keypoints.shape[:-1]}")
    elif not ((scores >= 0) & (scores <= 1)).all():
        faults.append("scores outside [0, 1]")
    elif not np.isfinite(keypoints[scores > 0]).all():
        faults.append("coordinates that are not finite")
    if faults:
        raise ExtractionError(f"{path}: backend {backend.name!r} answers with {', and '.join(faults)}; report this.")


class _Worker:
    """A process's opened backend, kept from task to task."""

    def __init__(self, backend: PoseBackend, staging: Staging) -> None:
        self._backend = backend
        self._staging = staging
        self._opened: PoseBackend | None = None
        self._stack = ExitStack()

    def extract(self, video: VideoInput) -> Outcome:
        if self._opened is None:
            try:
                self._opened = self._stack.enter_context(self._backend)
            except Exception as error:
                return Outcome(error=f"backend {self._backend.name!r} cannot be loaded: {_tell(error)}", fatal=True)
        clip, info = estimate_video(video, self._opened, self._staging.header.layout)
        self._staging.stage(clip)
        return Outcome(frames=info.frames, variable=info.variable)

    def overlay(self, task: OverlayTask) -> Outcome:
        from pcan_extract.overlay import write_overlay

        write_overlay(task.video.path, task.clip, self._staging.header.skeleton, task.target)
        return Outcome(frames=task.clip.keypoints.shape[1])


_worker: _Worker


def start_worker(backend: PoseBackend, staging: Staging) -> None:
    """Return nothing; make this process ready for `run_task`."""
    global _worker
    _worker = _Worker(backend, staging)


def run_task(task: ExtractTask | OverlayTask) -> Outcome:
    """Return how a task ended; an input's fault is an outcome, not an exception."""
    try:
        return _worker.extract(task.video) if isinstance(task, ExtractTask) else _worker.overlay(task)
    except Exception as error:
        return Outcome(error=_tell(error))


def _tell(error: Exception) -> str:
    if isinstance(error, PcanError):
        return " ".join(error.faults)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"unexpected {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno}); report this."
