"""How much of a clip the estimator has found.

Shapes: M persons, T frames, V joints.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcan_pose.skeleton import Skeleton


@dataclass(frozen=True)
class Found:
    """Counts of a clip's frames, or of many clips' together.

    Args:
        frames: Frames.
        body: Frames in which some body joint of somebody was found.
        hand: Frames in which some hand joint was found; None if the layout has no hands.
    """

    frames: int = 0
    body: int = 0
    hand: int | None = 0

    def __add__(self, other: "Found") -> "Found":
        hand = None if self.hand is None or other.hand is None else self.hand + other.hand
        return Found(self.frames + other.frames, self.body + other.body, hand)


def count_found(scores: npt.NDArray[np.float32], skeleton: Skeleton) -> Found:
    """Return the counts of one clip.

    Args:
        scores: float32 (M, T, V); above 0 where a joint was found.
        skeleton: The clip's layout.
    """
    hands = skeleton.hands
    found = (scores > 0).any(0)  # (T, V)
    body = int(found[:, ~hands].any(1).sum())
    return Found(len(found), body, int(found[:, hands].any(1).sum()) if hands.any() else None)
