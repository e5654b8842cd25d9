"""Accuracy, F1 and confusion at one level of a taxonomy: numpy only, equal to scikit-learn's numbers.

Two conventions hold everywhere in this file:

- Ties go to the lowest class id, in the prediction as in the top 5.
- Macro F1 is the mean over the classes that occur in the labels *or* in the predictions, as scikit-learn's default is.
  A class absent from both (in a small subset, say) is left out; one only predicted, or never found, counts as 0.

Shapes: N clips, K classes of the level.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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
        f1_macro: mean F1 over the classes present.
        f1_micro: F1 of the pooled counts; with one label a clip it equals `top1`.
        table: the metrics of each class.
        confusion: (K, K) int64, rows are labels, columns predictions.
    """

    top1: float
    top5: float
    f1_macro: float
    f1_micro: float
    table: ClassTable
    confusion: IntArray

    def summary(self) -> dict[str, float | None]:
        """The four numbers of this level by name."""
        return {"top1": self.top1, "top5": self.top5, "f1_macro": self.f1_macro, "f1_micro": self.f1_micro}


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


def level_of_logits(logits: FloatArray, labels: IntArray) -> LevelMetrics:
    """The metrics of one level, from logits.

    Args:
        logits: (N, K) float, finite.
        labels: (N,) int64 in [0, K).
    """
    num_classes = logits.shape[1]
    predictions = logits.argmax(axis=1).astype(np.int64)
    confusion = confusion_matrix(labels, predictions, num_classes)
    table = class_table(confusion)
    top1 = float((labels == predictions).mean())
    return LevelMetrics(
        top1=top1,
        top5=float((label_ranks(logits, labels) < TOP_K).mean()),
        f1_macro=float(table.f1[table.present].mean()),
        f1_micro=top1,  # one label and one prediction a clip: pooled precision and recall are both the accuracy
        table=table,
        confusion=confusion,
    )
