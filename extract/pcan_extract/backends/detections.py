"""What YOLOX and RTMDet need around them: pictures scaled to their input, boxes read from their answers.

Shapes: T pictures, P people in one of them, A anchors, h rows and w columns of the network's input.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.crops import Floats, Size, sample
from pcan_extract.video import Frame

_STRIDES = (8, 16, 32)
_GREY = 114  # what the networks were trained to see beside the picture


def letterbox(frames: Sequence[Frame], size: Size) -> tuple[npt.NDArray[np.uint8], np.float32]:
    """Return pictures scaled to fit a network's input, uint8 (T, h, w, 3), and by how much.

    They lie in its top left corner, with grey beside or below.

    Args:
        frames: T pictures of one size.
        size: Of the network's input.
    """
    height, width = frames[0].shape[:2]
    ratio = min(size.height / height, size.width / width)
    shown = Size(width=max(int(width * ratio), 1), height=max(int(height * ratio), 1))
    rows = ((np.arange(shown.height) + 0.5) * (height / shown.height) - 0.5).clip(0, height - 1)
    columns = ((np.arange(shown.width) + 0.5) * (width / shown.width) - 0.5).clip(0, width - 1)
    pictures = np.full((len(frames), size.height, size.width, 3), _GREY, np.uint8)
    for picture, frame in zip(pictures, frames, strict=True):
        picture[: shown.height, : shown.width] = sample(frame, rows, columns)
    return pictures, np.float32(ratio)


def count_anchors(size: Size) -> int:
    """Return A, the number of boxes in YOLOX's raw answer."""
    return sum((size.width // stride) * (size.height // stride) for stride in _STRIDES)


def yolox_boxes(raw: Floats, size: Size) -> Floats:
    """Return the boxes of YOLOX's raw answer, float32 (T, A, 4), left, top, right, bottom in pixels of its input.

    Args:
        raw: float32 (T, A, 5 + classes): the middle from the anchor's corner and the logarithm of the size, both in the
            anchor's stride.
        size: Of the network's input.

    Source:
        Ge et al., "YOLOX: Exceeding YOLO Series in 2021", section 2.1.
    """
    grids = []
    for stride in _STRIDES:
        row, column = np.indices((size.height // stride, size.width // stride)).reshape(2, -1)
        grids.append(np.stack([column, row, np.full_like(row, stride)], 1))  # (A of this stride, 3)
    anchors = np.concatenate(grids).astype(np.float32)
    corners, stride = anchors[:, :2], anchors[:, 2:]
    middle = (raw[..., :2] + corners) * stride  # (T, A, 2)
    half = np.exp(raw[..., 2:4]) * (stride / 2)  # (T, A, 2)
    return np.concatenate([middle - half, middle + half], -1)


def surest(boxes: Floats, scores: Floats, threshold: float) -> Floats:
    """Return the boxes whose score reaches a threshold, surest first, float32 (P', 4), if they have an area.

    Args:
        boxes: (P, 4).
        scores: (P,).
        threshold: Lowest score.
    """
    kept = (scores >= threshold) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    order = np.argsort(-scores[kept], kind="stable")
    return boxes[kept][order].astype(np.float32)


def suppress(boxes: Floats, overlap: float) -> Floats:
    """Return the boxes that share no more with a surer one than allowed, float32 (P', 4).

    Args:
        boxes: (P, 4), surest first.
        overlap: Intersection over union from which on two boxes are one person.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    left = np.arange(len(boxes))
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        shared = np.minimum(boxes[best, 2:], boxes[left, 2:]) - np.maximum(boxes[best, :2], boxes[left, :2])
        common = shared.clip(min=0).prod(1)
        left = left[common <= overlap * (area[best] + area[left] - common)]
    return boxes[kept]
