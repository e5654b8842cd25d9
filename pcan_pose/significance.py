"""How sure a result is: bootstrap intervals of every metric, and paired tests of two systems on the same clips.

A clip enters every metric through few small numbers: its label, what was predicted and whether the label was among the
five likeliest. Clips that agree in all of them are one cell, and drawing N clips with replacement is drawing the cells'
counts from a multinomial distribution. That is the same bootstrap, at a cost that no longer grows with N.

Shapes: N clips, U cells, R resamples, K classes of one level, F sums, Q metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import binomtest

from pcan_pose.errors import ScoreError
from pcan_pose.level_metrics import TOP_K, label_ranks
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy

METRICS = tuple(
    [f"{level}_{number}" for level in ("body", "action") for number in ("top1", "top5", "f1_macro", "f1_micro")]
    + ["f1_mean"]
)
"""The metrics in the order of `Metrics.summary`."""

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Interval = tuple[float, float]

_COUNTS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What one system said about N labelled clips.

    Attributes:
        labels: (N,) int64 action ids.
        action: (N,) int64, the action predicted.
        body: (N,) int64, the body part predicted.
        action_hit: (N,) int64, 1 where the action is among the five likeliest.
        body_hit: (N,) int64, 1 where the body part is among the five likeliest.
        taxonomy: the two levels.
    """

    labels: IntArray
    action: IntArray
    body: IntArray
    action_hit: IntArray
    body_hit: IntArray
    taxonomy: Taxonomy

    @classmethod
    def of(cls, scores: ScoreSet) -> "Outcomes":
        """The outcomes of a score set's labelled clips."""
        if not (scores.labels >= 0).all():
            scores = scores.select(np.flatnonzero(scores.labels >= 0))
        labels = scores.labels.astype(np.int64)
        body_labels = scores.taxonomy.parent_array[labels]
        return cls(
            labels=labels,
            action=scores.action_logits.argmax(axis=1),
            body=scores.body_logits.argmax(axis=1),
            action_hit=(label_ranks(scores.action_logits, labels) < TOP_K).astype(np.int64),
            body_hit=(label_ranks(scores.body_logits, body_labels) < TOP_K).astype(np.int64),
            taxonomy=scores.taxonomy,
        )


@dataclass(frozen=True)
class Comparison:
    """One system against another on the same clips.

    Attributes:
        clips: how many.
        differences: by metric, the first system's value minus the other's.
        intervals: by metric, the bootstrap interval of the difference.
        p_values: two-sided; of `body_top1` and `action_top1` by McNemar's exact test, of `f1_mean` by the paired
            bootstrap.
        discordant: by level, the clips that only the first system has right, and those that only the other has.
    """

    clips: int
    differences: Mapping[str, float]
    intervals: Mapping[str, Interval]
    p_values: Mapping[str, float]
    discordant: Mapping[str, tuple[int, int]]


def bootstrap_intervals(
    outcomes: Outcomes, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """By metric, the percentile interval over resampled clips; a class that a resample lacks is not in its macro F1.

    Args:
        outcomes: of one system.
        resamples: R, at least 2.
        seed: equal seeds give equal intervals.
        level: share of the resamples inside the interval.
    """
    (samples,) = _resample([outcomes], resamples, seed)
    return _intervals(samples, level)


def compare(
    first: Outcomes, other: Outcomes, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> Comparison:
    """The difference of two systems on the same clips, resampled together.

    Args:
        first: outcomes of the system in question.
        other: outcomes of the one it is compared with; the same clips in the same order.
        resamples: as in `bootstrap_intervals`.
        seed: as in `bootstrap_intervals`.
        level: as in `bootstrap_intervals`.

    Raises:
        ScoreError: outcomes that are not of the same clips.
    """
    if first.taxonomy != other.taxonomy or not np.array_equal(first.labels, other.labels):
        raise ScoreError("two systems to compare have other labels or another taxonomy; align them first.")
    samples = _resample([first, other], resamples, seed)
    change = samples[0] - samples[1]  # (R, Q)
    counts = np.ones((1, len(first.labels)))
    own, others = (_metrics(counts @ _sums(system), system.taxonomy)[0] for system in (first, other))
    discordant = {
        "body": _discordant(first.body, other.body, first.taxonomy.parent_array[first.labels]),
        "action": _discordant(first.action, other.action, first.labels),
    }
    p_values = {f"{name}_top1": _mcnemar(*pair) for name, pair in discordant.items()}
    # One is added, because a p-value of 0 is more than R resamples can say.
    tail = 1 + min(np.count_nonzero(change[:, -1] <= 0), np.count_nonzero(change[:, -1] >= 0))
    p_values["f1_mean"] = min(1.0, 2 * tail / (resamples + 1))
    return Comparison(
        clips=len(first.labels),
        differences=dict(zip(METRICS, (own - others).tolist(), strict=True)),
        intervals=_intervals(change, level),
        p_values=p_values,
        discordant=discordant,
    )


def _discordant(first: IntArray, other: IntArray, labels: IntArray) -> tuple[int, int]:
    right, others_right = first == labels, other == labels
    return int(np.count_nonzero(right & ~others_right)), int(np.count_nonzero(~right & others_right))


def _mcnemar(only_first: int, only_other: int) -> float:
    """The two-sided p-value; 1 where the systems never differ."""
    pairs = only_first + only_other
    return float(binomtest(only_first, pairs).pvalue) if pairs else 1.0


def _intervals(samples: FloatArray, level: float) -> dict[str, Interval]:
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0)  # (Q,) each
    return {name: (a, b) for name, a, b in zip(METRICS, low.tolist(), high.tolist(), strict=True)}


def _resample(systems: Sequence[Outcomes], resamples: int, seed: int) -> list[FloatArray]:
    """The metrics of each system in each resample, (R, Q) float64 each; all systems see the same resamples."""
    clips = len(systems[0].labels)
    rows, sizes = _cells(systems)
    sums = [_sums(_at(system, rows)) for system in systems]  # (U, F) each
    random = np.random.default_rng(seed)
    step = max(1, _COUNTS_AT_ONCE // len(sizes))
    parts: list[list[FloatArray]] = [[] for _ in systems]
    for start in range(0, resamples, step):
        counts = random.multinomial(clips, sizes / clips, size=min(step, resamples - start))  # (r, U)
        for part, matrix, system in zip(parts, sums, systems, strict=True):
            part.append(_metrics(counts @ matrix, system.taxonomy))
    return [np.concatenate(part) for part in parts]


def _cells(systems: Sequence[Outcomes]) -> tuple[IntArray, IntArray]:
    """(U,) int64 a row of each cell, and (U,) int64 how many clips it has."""
    code = systems[0].labels.copy()  # (N,)
    for system in systems:
        widths = (system.taxonomy.num_actions, system.taxonomy.num_body_parts, 2, 2)
        for width, column in zip(widths, (system.action, system.body, system.action_hit, system.body_hit), strict=True):
            code = code * width + column
    _, rows, sizes = np.unique(code, return_index=True, return_counts=True)
    return rows.astype(np.int64), sizes.astype(np.int64)


def _at(system: Outcomes, rows: IntArray) -> Outcomes:
    return Outcomes(
        labels=system.labels[rows],
        action=system.action[rows],
        body=system.body[rows],
        action_hit=system.action_hit[rows],
        body_hit=system.body_hit[rows],
        taxonomy=system.taxonomy,
    )


def _sums(system: Outcomes) -> sparse.csr_array:
    """(U, F): which sums each cell counts for; hits, support, predictions, top-5, body parts before actions."""
    body_labels = system.taxonomy.parent_array[system.labels]
    columns, start = [], 0
    for labels, predicted, hit, width in (
        (body_labels, system.body, system.body_hit, system.taxonomy.num_body_parts),
        (system.labels, system.action, system.action_hit, system.taxonomy.num_actions),
    ):
        unused = start + 3 * width + 1  # what is not counted goes to a column that nothing reads
        columns += [
            np.where(labels == predicted, start + labels, unused),
            start + width + labels,
            start + 2 * width + predicted,
            np.where(hit == 1, start + 3 * width, unused),
        ]
        start = unused + 1
    indices = np.stack(columns, axis=1).reshape(-1)  # (U * 8,)
    offsets = np.arange(0, len(indices) + 1, len(columns))
    return sparse.csr_array((np.ones(len(indices)), indices, offsets), shape=(len(system.labels), start))


def _metrics(sums: FloatArray, taxonomy: Taxonomy) -> FloatArray:
    """(R, Q) float64 from the sums (R, F), by the conventions of `pcan_pose.level_metrics`."""
    numbers, start = [], 0
    for width in (taxonomy.num_body_parts, taxonomy.num_actions):
        hits, support, predicted = (sums[:, start + i * width : start + (i + 1) * width] for i in range(3))  # (R, K)
        clips = support.sum(axis=1)  # (R,)
        top1 = hits.sum(axis=1) / clips
        occurrences = support + predicted
        f1 = 2 * hits / np.maximum(occurrences, 1)
        f1_macro = f1.sum(axis=1) / np.count_nonzero(occurrences, axis=1)
        numbers += [top1, sums[:, start + 3 * width] / clips, f1_macro, top1]
        start += 3 * width + 2
    f1_mean = (numbers[2] + numbers[3] + numbers[6] + numbers[7]) / 4
    return np.stack([*numbers, f1_mean], axis=1)
