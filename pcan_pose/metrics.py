"""Accuracy, F1 and confusion at both levels of a taxonomy: numpy only, equal to scikit-learn's numbers.

Two conventions hold everywhere in this file:

- Ties go to the lowest class id, in the prediction as in the top 5.
- Macro F1 is the mean over the classes that occur in the labels *or* in the predictions, as scikit-learn's default is.
  A class absent from both (in a small subset, say) is left out; one only predicted, or never found, counts as 0.

The body part is predicted by the body logits alone, never derived from the predicted action (the MA-52 protocol).

Shapes: N clips, K classes of one level, K_a actions, K_b body parts, R ranks of a ranking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import ScoreError
from pcan_pose.scores import name_clips
from pcan_pose.taxonomy import Taxonomy

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

TOP_K = 5
_ROWS_AT_ONCE = 1 << 15  # keeps the comparison masks inside the processor's cache


@dataclass(frozen=True, eq=False)
class ClassTable:
    """One row a class: how often it is right, how often it is asked for and how often it is predicted.

    Attributes:
        precision: (K,) float64 in [0, 1], 0 for a class that is never predicted.
        recall: (K,) float64 in [0, 1], 0 for a class without clips.
        f1: (K,) float64 in [0, 1].
        support: (K,) int64, clips whose label is the class.
        predicted: (K,) int64, clips predicted as the class.
    """

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    support: IntArray
    predicted: IntArray

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(K,) bool: the classes that occur in the labels or in the predictions, over which macro F1 is the mean."""
        return (self.support + self.predicted) > 0


@dataclass(frozen=True, eq=False)
class LevelMetrics:
    """The metrics of one level, as fractions in [0, 1].

    Attributes:
        top1: share of clips whose label is predicted.
        top5: share of clips whose label is among the five likeliest classes; with five classes or fewer that is 1.
            None where only a ranking shorter than that was given.
        f1_macro: mean F1 over the classes present.
        f1_micro: F1 of the pooled counts; with one label a clip it equals `top1`.
        table: the metrics of each class.
        confusion: (K, K) int64, rows are labels, columns predictions.
    """

    top1: float
    top5: float | None
    f1_macro: float
    f1_micro: float
    table: ClassTable
    confusion: IntArray

    def summary(self) -> dict[str, float | None]:
        """The four numbers of this level by name."""
        return {"top1": self.top1, "top5": self.top5, "f1_macro": self.f1_macro, "f1_micro": self.f1_micro}


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


def label_ranks(logits: FloatArray, labels: IntArray) -> IntArray:
    """(N,) int64, how many classes are ranked before the label: 0 is a right prediction, below 5 is a top-5 hit.

    Args:
        logits: (N, K) float, finite.
        labels: (N,) int64 in [0, K).
    """
    ranks = np.empty(len(labels), np.int64)
    class_ids = np.arange(logits.shape[1])
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        block, label = logits[rows], labels[rows, None]  # (n, K), (n, 1)
        own = np.take_along_axis(block, label, axis=1)  # (n, 1)
        before = (block > own) | ((block == own) & (class_ids < label))  # (n, K)
        ranks[rows] = np.count_nonzero(before, axis=1)
    return ranks


def confusion_matrix(labels: IntArray, predictions: IntArray, num_classes: int) -> IntArray:
    """(K, K) int64 counts, rows are labels, columns predictions.

    Args:
        labels: (N,) int64 in [0, K).
        predictions: (N,) int64 in [0, K).
        num_classes: K.
    """
    counts = np.bincount(labels * num_classes + predictions, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def class_table(confusion: IntArray) -> ClassTable:
    """Precision, recall, F1, support and predicted count of each class.

    Args:
        confusion: (K, K) int64, rows are labels, columns predictions.
    """
    right = np.diagonal(confusion)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassTable(
        precision=right / np.maximum(predicted, 1),
        recall=right / np.maximum(support, 1),
        f1=2 * right / np.maximum(support + predicted, 1),
        support=support,
        predicted=predicted,
    )


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
        body=_level_of_logits(body_logits, taxonomy.parent_array[action_labels]),
        action=_level_of_logits(action_logits, action_labels),
        clips=len(action_labels),
        dropped=len(labels) - len(action_labels),
    )


def evaluate_rankings(
    action_ranking: npt.NDArray[np.integer[Any]],
    body_ranking: npt.NDArray[np.integer[Any]],
    labels: npt.NDArray[np.integer[Any]],
    taxonomy: Taxonomy,
    *,
    drop_unlabelled: bool = False,
    clip_ids: Sequence[str] | None = None,
) -> Metrics:
    """The metrics of both levels from predicted classes, as a submission file holds them.

    Args:
        action_ranking: (N, R) integer action ids, likeliest first; R = 1 is enough for everything but top-5.
        body_ranking: (N, R) integer body part ids, likeliest first; its R may differ.
        labels: (N,) integer action ids, -1 where unknown.
        taxonomy: the two levels.
        drop_unlabelled: as in `evaluate`.
        clip_ids: as in `evaluate`.

    Raises:
        ScoreError: rankings that do not fit the labels, predictions or labels out of range, unlabelled clips, no clip.
    """
    faults = []
    for name, ranking, width in (
        ("action", action_ranking, taxonomy.num_actions),
        ("body", body_ranking, taxonomy.num_body_parts),
    ):
        if ranking.ndim != 2 or ranking.shape[0] != len(labels) or ranking.shape[1] == 0:
            faults.append(f"{name} ranking has shape {ranking.shape}, expected ({len(labels)}, R) with R of 1 or more.")
        elif (outside := np.asarray((ranking < 0) | (ranking >= width)).any(axis=1)).any():
            faults.append(f"{name} predictions are outside 0..{width - 1} in {name_clips(outside, clip_ids)}.")
    if faults:
        raise ScoreError(*faults)
    kept = _kept_clips(labels, taxonomy, drop_unlabelled, clip_ids)
    action_labels = labels[kept].astype(np.int64)
    body_labels = taxonomy.parent_array[action_labels]
    return Metrics(
        body=_level_of_ranking(body_ranking[kept].astype(np.int64), body_labels, taxonomy.num_body_parts),
        action=_level_of_ranking(action_ranking[kept].astype(np.int64), action_labels, taxonomy.num_actions),
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
        faults.append("there is no labelled clip to measure.")
    if faults:
        raise ScoreError(*faults)
    return ~unlabelled


def _level_of_logits(logits: FloatArray, labels: IntArray) -> LevelMetrics:
    num_classes = logits.shape[1]
    top5 = float((label_ranks(logits, labels) < TOP_K).mean())
    return _level(labels, logits.argmax(axis=1).astype(np.int64), num_classes, top5)


def _level_of_ranking(ranking: IntArray, labels: IntArray, num_classes: int) -> LevelMetrics:
    top5 = None
    if ranking.shape[1] >= min(TOP_K, num_classes):
        top5 = float((ranking[:, :TOP_K] == labels[:, None]).any(axis=1).mean())
    return _level(labels, ranking[:, 0], num_classes, top5)


def _level(labels: IntArray, predictions: IntArray, num_classes: int, top5: float | None) -> LevelMetrics:
    confusion = confusion_matrix(labels, predictions, num_classes)
    table = class_table(confusion)
    top1 = float((labels == predictions).mean())
    return LevelMetrics(
        top1=top1,
        top5=top5,
        f1_macro=float(table.f1[table.present].mean()),
        f1_micro=top1,  # one label and one prediction a clip: pooled precision and recall are both the accuracy
        table=table,
        confusion=confusion,
    )
