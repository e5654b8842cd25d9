"""How much of a clip the estimator has found.

Shapes: M persons, T frames, V joints.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pcan_pose.skeleton import Skeleton

_HAND_JOINT = re.compile(r"(left|right)_(hand|hand_root|(thumb|index|middle|ring|pinky)_(1|2|3|tip))")


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
    hands = _hand_joints(skeleton.joints)
    found = (scores > 0).any(0)  # (T, V)
    body = int(found[:, ~hands].any(1).sum())
    return Found(len(found), body, int(found[:, hands].any(1).sum()) if hands.any() else None)


@lru_cache
def _hand_joints(joints: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which joints belong to a hand, bool (V,)."""
    return np.array([_HAND_JOINT.fullmatch(joint) is not None for joint in joints])
