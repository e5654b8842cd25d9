"""Videos in, clips out.

Shapes: T frames, M persons, V joints.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np

from pcan_extract.backends.base import BatchingBackend, Estimate, Estimated, PoseBackend
from pcan_extract.decoding import DecodeAhead
from pcan_extract.inputs import VideoInput
from pcan_extract.smoothing import Processing
from pcan_extract.video import VideoInfo
from pcan_pose.errors import ConfigError, ExtractionError
from pcan_pose.keypoints import Clip
from pcan_pose.skeleton import map_layout, skeleton

MIN_SCORE = 0.05
"""Score below which a joint counts as not found, unless a run asks for another one."""


@dataclass(frozen=True)
class ClipOptions:
    """What is made of an estimate before it is stored.

    Args:
        allow_missing: Whether joints that the backend's layout cannot give get score 0 instead of being an error.
        processing: Closes gaps and smooths.
        min_score: Joints with a lower score, or outside the picture, count as not found, 0 to 1; 0 keeps all. Networks
            place every joint, also those that the picture does not show.

    Raises:
        ConfigError: If the score is out of range.
    """

    allow_missing: bool = False
    processing: Processing = Processing()
    min_score: float = MIN_SCORE

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min_score) and 0 <= self.min_score <= 1):
            raise ConfigError(f"min score must be 0 to 1, got {self.min_score:g}.")

    @property
    def settings(self) -> Mapping[str, str]:
        """What is done, by name, for the keypoint set's metadata; what is not done is left out."""
        settings = {"min_score": f"{self.min_score:g}"} if self.min_score else {}
        settings |= self.processing.settings
        return settings | ({"allow_missing_joints": "true"} if self.allow_missing else {})


def estimate_each(backend: PoseBackend, videos: Iterable[DecodeAhead]) -> Iterator[Estimated]:
    """Yield what becomes of each video, in their order; what is wrong with one concerns no other.

    Args:
        backend: An entered backend. Where it gains by it, batches go on from one video to the next.
        videos: Their decoders; closed when they are done with.
    """
    if batches_across_videos(backend):
        yield from backend.estimate_all(videos)
        return
    for video in videos:
        start = time.perf_counter()
        result: Estimate | Exception
        try:
            with video:
                frames = iter(video)
                result = backend.estimate(frames, video.announced)
                # A backend that stops early must not hide how the video ends.
                for _ in frames:
                    pass
        except Exception as error:
            result = error
        yield Estimated(result, time.perf_counter() - start)


def batches_across_videos(backend: PoseBackend) -> TypeGuard[BatchingBackend]:
    """Return whether a backend is to be given several videos at once."""
    return isinstance(backend, BatchingBackend) and backend.across_videos


def make_clip(
    video: VideoInput,
    estimate: Estimate,
    info: VideoInfo,
    backend: PoseBackend,
    layout: str,
    options: ClipOptions,
) -> Clip:
    """Return the clip of one video in a layout.

    Where a joint was not found, is less sure than asked for, or outside the picture, score and coordinates are 0.

    Args:
        video: The video.
        estimate: Its poses.
        info: What was measured of it.
        backend: Where the poses come from.
        layout: Layout of the result, a key of `SKELETONS`.
        options: What is made of the poses.

    Raises:
        ExtractionError: If the estimate does not fit the video.
        SkeletonError: If the backend's layout cannot be mapped.
    """
    _check(estimate, backend, info, video.path)
    keypoints, scores = map_layout(*estimate, backend.layout, layout, allow_missing=options.allow_missing)
    # (T, M, V, 2), (T, M, V)
    if options.min_score:
        # Backends count from the first pixel's edge or from its centre.
        outside = ((keypoints < -0.5) | (keypoints > (info.width, info.height))).any(-1)  # (T, M, V)
        scores = np.where((scores < options.min_score) | outside, np.float32(0), scores)
    if not scores.shape[1]:
        # Nobody in the whole video: one person that is never found keeps the frames.
        joints = skeleton(layout).num_joints
        keypoints = np.zeros((info.frames, 1, joints, 2), np.float32)
        scores = np.zeros((info.frames, 1, joints), np.float32)
    keypoints = np.where(scores[..., None] > 0, keypoints, np.float32(0)).swapaxes(0, 1)  # (M, T, V, 2)
    scores = scores.swapaxes(0, 1)  # (M, T, V)
    # After it gaps are filled: what is filled has a score of its own, and stays.
    keypoints, scores = options.processing(keypoints, scores, info.fps)
    return Clip(
        clip_id=video.clip_id,
        keypoints=np.ascontiguousarray(keypoints, dtype=np.float32),
        scores=np.ascontiguousarray(scores, dtype=np.float32),
        splits=video.splits,
        label=video.label,
        subject=video.subject,
        fps=info.fps,
        width=info.width,
        height=info.height,
        source=video.source,
    )


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
