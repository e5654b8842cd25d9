"""How a stored picture becomes the one that a player shows: its pixels made square, then turned and mirrored.

Shapes: H rows, W columns.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame

Frame = npt.NDArray[np.uint8]
"""One picture: uint8 (H, W, 3), RGB, contiguous."""

# No camera's pixels are longer than this one way or the other: headers with such numbers are wrong.
_LONGEST = 8


@dataclass(frozen=True)
class Orientation:
    """How stored pictures are turned to be looked at.

    Args:
        rotation: Degrees counterclockwise: 0, 90, 180 or 270.
        mirrored: Whether left and right are then swapped.
    """

    rotation: int = 0
    mirrored: bool = False


def read_orientation(frame: VideoFrame) -> Orientation:
    """Return what a picture's display matrix says, to the nearest right angle; upright if it has none."""
    # The frame's own side_data refers back to the frame, which then waits for the garbage collector.
    side_data = SideDataContainer(frame)  # type: ignore[call-arg]
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    matrix = bytes(side_data["DISPLAYMATRIX"])
    # Of a point (x, y), y downwards, it makes (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(np.float64).tolist()
    mirrored = a * d < b * c
    # The turn before the mirror; a mirrored matrix has its first line's sign changed.
    angle = math.degrees(math.atan2(-b, -a if mirrored else a))
    return Orientation(round(angle / 90) * 90 % 360, mirrored)


def square_width(width: int, ratio: Fraction | None) -> int:
    """Return the width of a stored picture, even, once its pixels are square; the same width if they nearly are.

    Args:
        width: Of the picture as it is stored.
        ratio: Width of a pixel to its height; None or 0 if it is not known.
    """
    if not ratio or not Fraction(1, _LONGEST) <= ratio <= _LONGEST:
        return width
    wanted = width * ratio
    return width if abs(wanted - width) < 1 else max(2, 2 * round(wanted / 2))


def to_rgb(frame: VideoFrame, width: int, orientation: Orientation) -> Frame:
    """Return a picture as it is shown, uint8 (H, W, 3), RGB, contiguous.

    Args:
        frame: The picture as it is stored.
        width: What to make of its width before it is turned.
        orientation: How to turn it.
    """
    # Rows are padded to the decoder's alignment: the padding is cut off and the rows are packed.
    stored = frame.to_ndarray(format="rgb24", width=width)  # (h, w, 3)
    shown = np.rot90(stored, orientation.rotation // 90)  # (H, W, 3)
    return np.ascontiguousarray(shown[:, ::-1] if orientation.mirrored else shown, dtype=np.uint8)
