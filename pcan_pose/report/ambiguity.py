"""Ambiguous clips on the action tree, and the pairs of actions that are taken for each other.

The sets are those that calibration works on, found here by the predictions as they are tested, rectification included.

Shapes: N clips, K classes, K_a actions, K_b body parts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.level_metrics import FloatArray, IntArray
from pcan_pose.taxonomy import Taxonomy

BoolArray = npt.NDArray[np.bool_]

MISSED = {
    "FN1": "body part right, action wrong",
    "FN2": "body part wrong, action right",
    "FN3": "both wrong",
}
"""The kinds of missed clips by what is wrong; a wrong action is also an FP of the action that it was taken for."""


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """What the two classifiers make of N labelled clips.

    Args:
        labels: (N,), true actions.
        claimed: int64 (N,), predicted actions.
        body_right: bool (N,), whether the body part is right.
    """

    labels: npt.NDArray[np.integer[Any]]
    claimed: IntArray
    body_right: BoolArray

    @property
    def action_right(self) -> BoolArray:
        """Whether the action is right, bool (N,)."""
        return np.asarray(self.claimed == self.labels)

    @property
    def clear(self) -> BoolArray:
        """True positives: both levels are right, bool (N,)."""
        return self.body_right & self.action_right

    @property
    def missed(self) -> dict[str, BoolArray]:
        """FN1, FN2 and FN3, each bool (N,); no clip is in two of them."""
        return {
            "FN1": self.body_right & ~self.action_right,
            "FN2": ~self.body_right & self.action_right,
            "FN3": ~self.body_right & ~self.action_right,
        }

    @property
    def false_positive(self) -> BoolArray:
        """FP: clips that count for the action that they were wrongly taken for, bool (N,); the same as FN1 or FN3."""
        return ~self.action_right


def find_ambiguous(
    action_logits: FloatArray, body_logits: FloatArray, labels: npt.NDArray[np.integer[Any]], taxonomy: Taxonomy
) -> Ambiguity:
    """Return which clips are clear and which ambiguous.

    Args:
        action_logits: (N, K_a).
        body_logits: (N, K_b).
        labels: (N,) in [0, K_a).
        taxonomy: The action tree.
    """
    claimed = action_logits.argmax(axis=1).astype(np.int64)
    return Ambiguity(labels, claimed, body_logits.argmax(axis=1) == taxonomy.parent_array[labels])


def confused_pairs(confusion: IntArray, count: int) -> list[tuple[int, int, int]]:
    """Return the commonest mistakes as (label, prediction, clips), the most clips first.

    Of equally many clips, the larger share of the label's clips comes first, then the lower ids.

    Args:
        confusion: int64 (K, K), rows are labels, columns predictions.
        count: The most pairs to return; pairs without clips are never returned.
    """
    support = confusion.sum(axis=1)
    pairs = [
        (label, prediction, int(confusion[label, prediction]))
        for label, prediction in np.argwhere(confusion > 0).tolist()
        if label != prediction
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[2] / support[pair[0]], pair[0], pair[1]))[:count]
