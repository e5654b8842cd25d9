"""A video in, a clip out.

Shapes: T frames, M persons, V joints.
"""

from pathlib import Path

import numpy as np

from pcan_extract.backends.base import Estimate, PoseBackend
from pcan_extract.decoding import DecodeAhead
from pcan_extract.inputs import VideoInput
from pcan_extract.smoothing import Processing
from pcan_extract.video import VideoInfo
from pcan_pose.errors import ExtractionError
from pcan_pose.keypoints import Clip
from pcan_pose.skeleton import map_layout, skeleton


def estimate_video(
    video: VideoInput,
    backend: PoseBackend,
    layout: str,
    *,
    allow_missing: bool = False,
    processing: Processing | None = None,
    decoder: DecodeAhead | None = None,
) -> tuple[Clip, VideoInfo]:
    """Return the clip of one video in a layout, and what was measured of the video.

    Where a joint was not found (score 0), its coordinates are 0.

    Args:
        video: The video.
        backend: An entered backend.
        layout: Layout of the result, a key of `SKELETONS`.
        allow_missing: Whether joints that the backend's layout cannot give get score 0 instead of being an error.
        processing: Closes gaps and smooths, or None.
        decoder: The video's decoder if it has been started before; it is closed at the end.

    Raises:
        ExtractionError: If the video cannot be decoded to its end, or the backend's answer does not fit it.
        SkeletonError: If the backend's layout cannot be mapped.
    """
    with decoder or DecodeAhead(video.path) as decoder:
        frames = iter(decoder)
        estimate = backend.estimate(frames, decoder.announced)
        # A backend that stops early must not hide how the video ends.
        for _ in frames:
            pass
        info = decoder.measured
    _check(estimate, backend, info, video.path)
    keypoints, scores = map_layout(*estimate, backend.layout, layout, allow_missing=allow_missing)  # (T, M, V, 2), ...
    if not scores.shape[1]:
        # Nobody in the whole video: one person that is never found keeps the frames.
        joints = skeleton(layout).num_joints
        keypoints = np.zeros((info.frames, 1, joints, 2), np.float32)
        scores = np.zeros((info.frames, 1, joints), np.float32)
    keypoints = np.where(scores[..., None] > 0, keypoints, np.float32(0)).swapaxes(0, 1)  # (M, T, V, 2)
    scores = scores.swapaxes(0, 1)  # (M, T, V)
    if processing is not None:
        keypoints, scores = processing(keypoints, scores, info.fps)
    clip = Clip(
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
