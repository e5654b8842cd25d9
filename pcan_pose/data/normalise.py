"""Normalisation of whole sets: an origin on the body and the body's size, one of each a clip.

Shapes: N clips, R rows (person-frames), V joints, C coordinates.
"""

import numpy as np
import numpy.typing as npt

from pcan_pose.config import Centre
from pcan_pose.keypoints import KeypointSet

Floats = npt.NDArray[np.float32]


def normalise(
    keypoint_set: KeypointSet, *, centre: Centre = "clip", scale: bool = True, face_camera: bool = False
) -> tuple[Floats, Floats]:
    """Return keypoints (R, V, C) and scores (R, V) with the body at the origin and, on request, of size one.

    All axes are divided by the same length, so angles and the aspect ratio stay as they were. Joints with score 0
    take no part and are 0 afterwards.

    Args:
        keypoint_set: The clips.
        centre: Origin from the centre joints: in the clip's first frame that has them, their mean over the clip, or
            frame by frame.
        scale: Whether to divide by the body's size: the median over the clip of the first pair of joint groups that
            the clip has. A clip without any is divided by the spread of its joints.
        face_camera: Whether 3-D clips are turned about the y axis so that the shoulders, on the clip's average, lie
            along x; of no effect in 2-D.
    """
    layout = keypoint_set.header.skeleton
    clip_of_row = np.repeat(np.arange(len(keypoint_set)), np.diff(keypoint_set.offsets))  # (R,)
    found = keypoint_set.scores > 0  # (R, V)
    keypoints = np.where(found[..., None], keypoint_set.keypoints, np.float32(0))
    origin, has_origin = _group_mean(keypoints, found, layout.centre)  # (R, C), (R,)
    # Rows without centre joints borrow the mean of the joints that they have.
    anywhere, has_any = _group_mean(keypoints, found, tuple(range(layout.num_joints)), every=False)
    if centre == "frame":
        origin = np.where(has_origin[:, None], origin, anywhere)
    else:
        usable = has_origin if centre == "clip" else _first_of_each(has_origin, clip_of_row)
        per_clip, filled = _clip_mean(origin, usable, clip_of_row, len(keypoint_set))
        fallback, _ = _clip_mean(anywhere, has_any, clip_of_row, len(keypoint_set))
        origin = np.where(filled[:, None], per_clip, fallback)[clip_of_row]
    keypoints = keypoints - origin[:, None]
    if face_camera and keypoint_set.header.dims == 3:
        keypoints = _turned(keypoint_set, keypoints, found, clip_of_row)
    if scale:
        keypoints /= _sizes(keypoint_set, keypoints, found, clip_of_row)[clip_of_row, None, None]
    return np.where(found[..., None], keypoints, np.float32(0)).astype(np.float32), keypoint_set.scores.astype(
        np.float32
    )


def _turned(
    keypoint_set: KeypointSet, centred: Floats, found: npt.NDArray[np.bool_], clip_of_row: npt.NDArray[np.int64]
) -> Floats:
    """Return the keypoints (R, V, 3), each clip turned about y by one angle; one without shoulders stays as it is."""
    layout = keypoint_set.header.skeleton
    left, right = layout.index("left_shoulder"), layout.index("right_shoulder")
    across = centred[:, right] - centred[:, left]  # (R, 3)
    mean, _ = _clip_mean(across, found[:, left] & found[:, right], clip_of_row, len(keypoint_set))
    angle = np.arctan2(mean[:, 2], mean[:, 0])[clip_of_row, None]  # 0 without shoulders
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = np.moveaxis(centred, -1, 0)
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=-1).astype(np.float32)


def _group_mean(
    keypoints: Floats, found: npt.NDArray[np.bool_], group: tuple[int, ...], *, every: bool = True
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the mean (R, C) of a group's joints and in which rows (R,) it exists: where all (or any) are found."""
    chosen = found[:, group]
    there = chosen.all(1) if every else chosen.any(1)
    total = (keypoints[:, group] * chosen[..., None]).sum(1)
    return total / np.maximum(chosen.sum(1), 1)[:, None].astype(np.float32), there


def _first_of_each(usable: npt.NDArray[np.bool_], clip_of_row: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    rows = np.flatnonzero(usable)
    _, first = np.unique(clip_of_row[rows], return_index=True)
    chosen = np.zeros_like(usable)
    chosen[rows[first]] = True
    return chosen


def _clip_mean(
    values: Floats, usable: npt.NDArray[np.bool_], clip_of_row: npt.NDArray[np.int64], clips: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    counts = np.bincount(clip_of_row[usable], minlength=clips)
    sums = [np.bincount(clip_of_row[usable], weights=column[usable], minlength=clips) for column in values.T]
    return (np.stack(sums, 1) / np.maximum(counts, 1)[:, None]).astype(np.float32), counts > 0


def _sizes(
    keypoint_set: KeypointSet, centred: Floats, found: npt.NDArray[np.bool_], clip_of_row: npt.NDArray[np.int64]
) -> Floats:
    """Return the body's size of each clip (N,): the median distance between the first pair of groups that it has."""
    clips = len(keypoint_set)
    sizes = np.full(clips, np.nan)
    for one, other in keypoint_set.header.skeleton.scale:
        a, has_a = _group_mean(centred, found, one)
        b, has_b = _group_mean(centred, found, other)
        length = np.linalg.norm(a - b, axis=-1)
        medians = _clip_median(length, has_a & has_b & (length > 0), clip_of_row, clips)
        sizes = np.where(np.isnan(sizes), medians, sizes)
    square = np.where(found, (centred**2).sum(-1), 0).sum(1)
    counts = np.bincount(clip_of_row, weights=found.sum(1), minlength=clips)
    spread = np.sqrt(np.bincount(clip_of_row, weights=square, minlength=clips) / np.maximum(counts, 1))
    sizes = np.where(np.isnan(sizes), spread, sizes)
    return np.where(sizes > 0, sizes, 1).astype(np.float32)


def _clip_median(
    values: Floats, usable: npt.NDArray[np.bool_], clip_of_row: npt.NDArray[np.int64], clips: int
) -> npt.NDArray[np.float64]:
    """Return each clip's median of its usable rows (N,), NaN for a clip without any."""
    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((values[rows], clip_of_row[rows]))]
    counts = np.bincount(clip_of_row[rows], minlength=clips)
    starts = np.cumsum(counts) - counts
    medians = np.full(clips, np.nan)
    some = counts > 0
    low = values[rows[(starts + (counts - 1) // 2)[some]]]
    high = values[rows[(starts + counts // 2)[some]]]
    medians[some] = (low.astype(np.float64) + high) / 2
    return medians
