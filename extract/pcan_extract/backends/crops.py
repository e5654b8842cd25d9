"""Pieces of pictures, cut out and resized to what a network takes, and the way back.

They are those of MMPose: the box's middle stays the crop's middle, the box grows by a quarter and to the crop's aspect
ratio, the picture is read bilinearly without smoothing, and beyond its edge everything is black.
Written in numpy, because OpenCV stays out of the core.

Shapes: N crops, T pictures, V joints, H rows and W columns of a picture, h rows and w columns of a crop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pcan_extract.video import Frame

Floats = npt.NDArray[np.float32]

PADDING = 1.25
"""How much larger than its box a crop is, in MMPose's top-down models."""


class Size(NamedTuple):
    """The size of a crop, in pixels."""

    width: int
    height: int


class Regions(NamedTuple):
    """What the crops show, in the picture's pixels.

    Args:
        centres: float32 (N, 2).
        extents: float32 (N, 2), width and height, > 0.
    """

    centres: Floats
    extents: Floats


def regions(boxes: Floats, size: Size, padding: float = PADDING) -> Regions:
    """Return the regions around boxes, in the aspect ratio of the crops.

    Args:
        boxes: float32 (N, 4): left, top, right, bottom in pixels; not empty.
        size: Of the crops.
        padding: How much larger than the box.
    """
    corners = boxes.reshape(-1, 2, 2)  # (N, 2, 2)
    width, height = ((corners[:, 1] - corners[:, 0]) * np.float32(padding)).T  # (N,)
    aspect = np.float32(size.width / size.height)
    wide = width > height * aspect
    extents = np.where(wide, (width, width / aspect), (height * aspect, height)).T  # (N, 2)
    return Regions(corners.mean(1, dtype=np.float32), extents.astype(np.float32))


def cut(frames: Sequence[Frame], owners: Sequence[int], where: Regions, size: Size) -> npt.NDArray[np.uint8]:
    """Return the crops, uint8 (N, h, w, 3).

    Args:
        frames: T pictures.
        owners: For each crop the picture it is cut from.
        where: Their regions.
        size: Of the crops.
    """
    steps = where.extents.astype(np.float64) / size  # (N, 2), picture pixels in a crop's pixel
    columns = where.centres[:, :1] + (np.arange(size.width) - size.width / 2) * steps[:, :1]  # (N, w)
    rows = where.centres[:, 1:] + (np.arange(size.height) - size.height / 2) * steps[:, 1:]  # (N, h)
    crops = np.empty((len(owners), size.height, size.width, 3), np.uint8)
    for i, owner in enumerate(owners):
        crops[i] = sample(frames[owner], rows[i], columns[i])
    return crops


def to_picture(points: Floats, where: Regions, size: Size) -> Floats:
    """Return points of crops in their picture's pixels, float32 (N, V, 2).

    Args:
        points: float32 (N, V, 2), pixels of the crops.
        where: The regions that the crops show.
        size: Of the crops.
    """
    scaled = points / np.array(size, np.float32) * where.extents[:, None]
    moved = scaled + where.centres[:, None] - np.float32(0.5) * where.extents[:, None]
    return moved.astype(np.float32)


def sample(frame: Frame, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return a picture's colours where rows and columns cross, between pixels bilinearly; uint8 (h, w, 3).

    Args:
        frame: uint8 (H, W, 3).
        rows: Pixel coordinates (h,), rising; what lies outside is black.
        columns: Pixel coordinates (w,), rising.
    """
    above, below, upper, lower = _neighbours(rows, frame.shape[0])
    before, after, left, right = _neighbours(columns, frame.shape[1])
    first = int(before[0])
    # Rows first, because whole rows are copied fastest, and only of the columns that are asked for.
    band = frame[:, first : int(after[-1]) + 1].reshape(len(frame), -1)
    lines = band.take(above, 0) * upper[:, None]
    lines += band.take(below, 0) * lower[:, None]
    pixels = lines.reshape(len(rows), -1, 3)  # (h, W', 3)
    mixed = pixels.take(before - first, 1).reshape(len(rows), -1)  # (h, w * 3)
    mixed *= left.repeat(3)
    second = pixels.take(after - first, 1).reshape(len(rows), -1)
    second *= right.repeat(3)
    mixed += second
    np.rint(mixed, out=mixed)
    return mixed.astype(np.uint8).reshape(len(rows), len(columns), 3)


def _neighbours(
    places: npt.NDArray[np.float64], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, Floats]:
    """Return the pixels on both sides of each place, int64, inside the picture, and their weights, float32."""
    floor = np.floor(places)
    share = (places - floor).astype(np.float32)
    before = floor.astype(np.int64)
    after = before + 1
    first = np.where((before >= 0) & (before < length), 1 - share, np.float32(0))
    second = np.where((after >= 0) & (after < length), share, np.float32(0))
    return before.clip(0, length - 1), after.clip(0, length - 1), first, second
