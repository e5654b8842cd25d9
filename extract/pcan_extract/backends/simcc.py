"""From what a pose network answers to joints, in the crop's pixels.

SimCC networks (RTMPose, RTMW, DWPose) answer with two vectors a joint, how likely each column and each row is; older
ones with a picture a joint, the heatmap. Both are read as MMPose reads them.

Shapes: N crops, V joints, L bins of an axis, h rows and w columns of a heatmap.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.crops import Size
from pcan_pose.errors import CheckpointError

Floats = npt.NDArray[np.float32]


def decode(outputs: Sequence[Floats], names: Sequence[str], size: Size) -> tuple[Floats, Floats]:
    """Return joints (N, V, 2), in pixels of the crop, and scores (N, V) in [0, 1].

    Args:
        outputs: What the network answers to N crops.
        names: The outputs' names.
        size: Of the crops.

    Raises:
        CheckpointError: If the answers are those of another kind of network.
    """
    shapes = [output.shape for output in outputs]
    match [len(shape) for shape in shapes]:
        case [3, 3] if shapes[0][:2] == shapes[1][:2]:
            columns, rows = reversed(outputs) if _swapped(shapes, names, size) else outputs
            return decode_simcc(columns, rows, size)
        case [4]:
            return decode_heatmaps(outputs[0], size)
        case _:
            told = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
            raise CheckpointError(
                f"the network answers with {told}; expected SimCC vectors (N, V, columns) and (N, V, rows), or "
                "heatmaps (N, V, rows, columns), of a top-down pose estimator such as RTMPose, RTMW or DWPose."
            )


def decode_simcc(columns: Floats, rows: Floats, size: Size) -> tuple[Floats, Floats]:
    """Return joints (N, V, 2) and scores (N, V) from SimCC vectors.

    The joint is where both vectors are highest; its score is the lower of the two maxima, as MMPose has it (rtmlib
    takes their mean). A score above 1, which training does not forbid, becomes 1. Where a vector is nowhere positive,
    the score is 0.

    Args:
        columns: float32 (N, V, L), a whole number of bins (the split ratio, 2 in all published models) for each column.
        rows: float32 (N, V, L'), likewise for each row.
        size: Of the crops.
    """
    bins = np.stack([columns.argmax(-1), rows.argmax(-1)], -1).astype(np.float32)  # (N, V, 2)
    ratio = np.array([columns.shape[-1] / size.width, rows.shape[-1] / size.height], np.float32)
    return bins / ratio, _limited(np.minimum(columns.max(-1), rows.max(-1)))


def decode_heatmaps(heatmaps: Floats, size: Size) -> tuple[Floats, Floats]:
    """Return joints (N, V, 2) and scores (N, V) from heatmaps.

    The joint is the highest pixel, moved by a quarter of a pixel towards its higher neighbour, as MMPose's
    `MSRAHeatmap` has it; networks trained for UDP or DARK decoding are read a fraction of a heatmap's pixel off.

    Args:
        heatmaps: float32 (N, V, h, w).
        size: Of the crops.
    """
    height, width = heatmaps.shape[2:]
    flat = heatmaps.reshape(*heatmaps.shape[:2], -1)
    best = flat.argmax(-1)  # (N, V)
    row, column = np.divmod(best, width)
    points = np.stack([column, row], -1).astype(np.float32)  # (N, V, 2)
    # A joint on an edge stays where it is, and so does one in the second row or column along that axis: MMPose's rule.
    for axis, (place, length, other, step) in enumerate(((column, width, row, 1), (row, height, column, width))):
        moves = (place > 1) & (place < length - 1) & (other > 0)
        at = np.where(moves, best, step)[..., None]
        slope = np.take_along_axis(flat, at + step, -1) - np.take_along_axis(flat, at - step, -1)
        points[..., axis] += np.where(moves, np.sign(slope[..., 0]) * np.float32(0.25), 0)
    points *= np.array([size.width / width, size.height / height], np.float32)
    return points, _limited(flat.max(-1))


def _limited(scores: Floats) -> Floats:
    return scores.astype(np.float32).clip(0, 1)


def _swapped(shapes: Sequence[tuple[int, ...]], names: Sequence[str], size: Size) -> bool:
    """Return whether the rows come before the columns: by the names, else by the lengths.

    Raises:
        CheckpointError: If neither order fits the crop.
    """
    if {"simcc_x", "simcc_y"} == set(names):
        return names[0] == "simcc_y"
    first, second = (shape[-1] for shape in shapes)
    if first * size.height == second * size.width:
        return False
    if second * size.height == first * size.width:
        return True
    raise CheckpointError(
        f"the network answers with vectors of {first} and {second} bins, which are no multiple of its input of "
        f"{size.width} x {size.height} pixels."
    )
