"""Boxes around people: left, top, right, bottom in pixels.

Shapes: P and Q boxes, V joints.
"""

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]

# Joints far less sure than the surest would drag the box to wherever the network put them.
_SURE = 0.5
# Of the picture's shorter side, on every side of the joints: a single joint has a box too.
_MARGIN = 0.05


def overlaps(one: Boxes, other: Boxes) -> Boxes:
    """Return intersection over union of every pair, float64 (P, Q) in [0, 1].

    Args:
        one: float64 (P, 4).
        other: float64 (Q, 4).
    """
    low = np.maximum(one[:, None, :2], other[:, :2])  # (P, Q, 2)
    high = np.minimum(one[:, None, 2:], other[:, 2:])
    shared = (high - low).clip(0).prod(-1)
    total = areas(one)[:, None] + areas(other) - shared
    return shared / np.maximum(total, np.finfo(np.float64).tiny)


def areas(boxes: Boxes) -> Boxes:
    """Return square pixels, float64 (P,); a box turned inside out has none."""
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(-1)


def grown(boxes: Boxes) -> Boxes:
    """Return boxes of twice the width and height around the same middles, float64 (P, 4)."""
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return boxes + np.concatenate([-half, half], axis=1)


def is_picture(boxes: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.bool_]:
    """Return which boxes (P, 4) hold the whole picture, bool (P,), to within a pixel."""
    return (boxes[:, :2] < 1).all(1) & (boxes[:, 2:] > np.array([width, height]) - 1).all(1)


def around_joints(
    keypoints: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], width: int, height: int
) -> Boxes:
    """Return the boxes of the surer joints, float64 (P, 4); joints with half the surest one's score count.

    Args:
        keypoints: float32 (P, V, 2).
        scores: float32 (P, V); in each row one above 0.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
    """
    sure = (scores >= _SURE * scores.max(1, keepdims=True))[..., None]  # (P, V, 1)
    low = np.where(sure, keypoints, np.inf).min(1)  # (P, 2)
    high = np.where(sure, keypoints, -np.inf).max(1)
    margin = _MARGIN * min(width, height)
    return np.concatenate([low - margin, high + margin], axis=1, dtype=np.float64)
