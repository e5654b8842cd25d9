"""One square box a clip, from the clip's own keypoints.

Shapes: N clips, M persons, T frames, V joints, R rows (M x T of every clip).
"""

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet

# A clip's extent leaves out this share of its frames at each end: estimators err in single frames, while a hand that is
# raised for a moment stays in.
_TAIL = 0.02
# Pixels; a clip of which one joint was found has no extent.
_LEAST_SIDE = 32.0


def clip_boxes(keypoint_set: KeypointSet, margin: float = 0.2) -> npt.NDArray[np.float64]:
    """Return the square around everybody in each clip, float64 (N, 3): left, top and side in the set's pixels.

    The extent of the found joints is taken in each frame, then a robust one over all frames and persons. The box may
    reach beyond the picture; who cuts it out moves it inside as far as it fits. NaN says that nobody was found.

    Args:
        keypoint_set: Keypoints in pixels.
        margin: How much larger the box is than the joints' extent, half of it on either side; at least 0. Joints end at
            eyes and ankles or fingertips, people do not.

    Raises:
        DataError: If keypoints are not in pixels.
    """
    if keypoint_set.header.dims != 2:
        raise DataError(f"keypoints in {keypoint_set.header.dims}-D have no place in a picture; crops need 2-D pixels.")
    found = keypoint_set.scores > 0  # (R, V)
    seen = found.any(1)  # (R,)
    clip = np.repeat(np.arange(len(keypoint_set)), np.diff(keypoint_set.offsets))[seen]
    points, found = keypoint_set.keypoints[seen], found[seen][..., None]  # (R, V, 2), (R, V, 1)
    lows = _robust(np.where(found, points, np.inf).min(1), clip, len(keypoint_set), _TAIL)  # (N, 2)
    highs = _robust(np.where(found, points, -np.inf).max(1), clip, len(keypoint_set), 1 - _TAIL)  # (N, 2)
    side = np.maximum((highs - lows).max(1, keepdims=True) * (1 + margin), _LEAST_SIDE)  # (N, 1)
    return np.concatenate([(lows + highs - side) / 2, side], 1)


def _robust(
    values: npt.NDArray[np.float32], clip: npt.NDArray[np.int64], clips: int, share: float
) -> npt.NDArray[np.float64]:
    """Return a quantile of each clip's values, float64 (N, 2), NaN for a clip without any; the nearest value is taken.

    Args:
        values: float32 (R, 2).
        clip: int64 (R,), which clip a value is of, ascending.
        clips: How many clips there are, N.
        share: Which quantile, 0 to 1.
    """
    counts = np.bincount(clip, minlength=clips)
    starts = np.cumsum(counts) - counts
    # Symmetric in share and 1 - share, so that a mirrored clip has the mirrored box.
    steps = np.ceil(min(share, 1 - share) * (counts - 1) - 0.5).clip(0).astype(np.int64)
    place = starts + np.where(share < 0.5, steps, counts - 1 - steps)
    result = np.full((clips, 2), np.nan)
    for axis in range(2):
        ordered = values[np.lexsort((values[:, axis], clip)), axis]
        result[counts > 0, axis] = ordered[place[counts > 0]]
    return result
