"""Accuracy and F1 of both levels of a taxonomy, from logits.

The body part is predicted by the body logits alone, never derived from the predicted action (the MA-52 protocol). How
one level is measured is said in `pcan_pose.level_metrics`.

Shapes: N clips, K_a actions, K_b body parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import ScoreError
from pcan_pose.level_metrics import FloatArray, LevelMetrics, level_of_logits
from pcan_pose.scores import name_clips
from pcan_pose.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Metrics:
    """The metrics of one set of predictions.

    Attributes:
        body: the coarse level.
        action: the fine level.
        clips: clips measured.
        dropped: unlabelled clips left out on request.
    """

    body: LevelMetrics
    action: LevelMetrics
    clips: int
    dropped: int = 0

    @property
    def f1_mean(self) -> float:
        """The mean of macro and micro F1 of both levels: the number MA-52 ranks by."""
        return (self.body.f1_macro + self.body.f1_micro + self.action.f1_macro + self.action.f1_micro) / 4

    def summary(self) -> dict[str, float | None]:
        """The nine numbers of the MA-52 table by name: `body_top1` ... `action_f1_micro`, `f1_mean`."""
        levels = {"body": self.body, "action": self.action}
        numbers = {f"{level}_{name}": value for level, of in levels.items() for name, value in of.summary().items()}
        return {**numbers, "f1_mean": self.f1_mean}


def evaluate(
    action_logits: FloatArray,
    body_logits: FloatArray,
    labels: npt.NDArray[np.integer[Any]],
    taxonomy: Taxonomy,
    *,
    drop_unlabelled: bool = False,
    clip_ids: Sequence[str] | None = None,
) -> Metrics:
    """The metrics of both levels, from logits or from anything that ranks classes alike (probabilities).

    Args:
        action_logits: (N, K_a) float, finite.
        body_logits: (N, K_b) float, finite.
        labels: (N,) integer action ids, -1 where unknown. Body labels follow from the taxonomy.
        taxonomy: the two levels.
        drop_unlabelled: measure the labelled clips only (`Metrics.dropped` says how many were left out) instead of
            raising an error.
        clip_ids: N names for error messages; without them rows are named.

    Raises:
        ScoreError: shapes that do not fit each other or the taxonomy, non-finite logits, labels out of range,
            unlabelled clips, no clip to measure.
    """
    faults = [
        f"{name} logits have shape {array.shape}, expected ({len(labels)}, {width}): "
        f"one row a label, one column a class of taxonomy '{taxonomy.name}'."
        for name, array, width in (
            ("action", action_logits, taxonomy.num_actions),
            ("body", body_logits, taxonomy.num_body_parts),
        )
        if array.shape != (len(labels), width)
    ]
    if faults:
        raise ScoreError(*faults)
    kept = _kept_clips(labels, taxonomy, drop_unlabelled, clip_ids)
    for name, array in (("action", action_logits), ("body", body_logits)):
        broken = ~np.isfinite(array).all(axis=1)
        if broken.any():
            faults.append(f"{name} logits are not finite in {name_clips(broken, clip_ids)}.")
    if faults:
        raise ScoreError(*faults)
    everything = bool(kept.all())
    action_labels = labels.astype(np.int64) if everything else labels[kept].astype(np.int64)
    if not everything:
        action_logits, body_logits = action_logits[kept], body_logits[kept]
    return Metrics(
        body=level_of_logits(body_logits, taxonomy.parent_array[action_labels]),
        action=level_of_logits(action_logits, action_labels),
        clips=len(action_labels),
        dropped=len(labels) - len(action_labels),
    )


def _kept_clips(
    labels: npt.NDArray[np.integer[Any]], taxonomy: Taxonomy, drop_unlabelled: bool, clip_ids: Sequence[str] | None
) -> npt.NDArray[np.bool_]:
    """(N,) bool, the clips to measure; every fault of the labels raises at once."""
    unlabelled: npt.NDArray[np.bool_] = np.asarray(labels == -1)
    outside: npt.NDArray[np.bool_] = ~unlabelled & ((labels < 0) | (labels >= taxonomy.num_actions))
    faults = []
    if outside.any():
        faults.append(
            f"labels are outside 0..{taxonomy.num_actions - 1} (taxonomy '{taxonomy.name}') "
            f"in {name_clips(outside, clip_ids)}."
        )
    if unlabelled.any() and not drop_unlabelled:
        faults.append(
            f"no label in {name_clips(unlabelled, clip_ids)}: "
            "label them, or measure the others with drop_unlabelled (--drop-unlabelled)."
        )
    if unlabelled.all():
        faults.append(
            "there is no labelled clip to measure; 'pcan-pose evaluate --predictions' writes what was recognised."
        )
    if faults:
        raise ScoreError(*faults)
    return ~unlabelled
