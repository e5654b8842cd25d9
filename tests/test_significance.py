"""Intervals and tests equal those of scipy and scikit-learn, resample by resample where that can be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from pcan_pose.errors import ScoreError
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet
from pcan_pose.significance import METRICS, Outcomes, _cells, _metrics, _sums, bootstrap_intervals, compare
from pcan_pose.taxonomy import MA52, Taxonomy

SMALL = Taxonomy("small", ("nod", "shake", "rub", "tap"), ("head", "hand"), (0, 0, 1, 1))


def make(clips: int, seed: int, gain: float = 1.5, taxonomy: Taxonomy = MA52, classes: int | None = None) -> ScoreSet:
    labels = np.random.default_rng(0).integers(0, classes or taxonomy.num_actions, clips)
    rng = np.random.default_rng(seed)
    action = rng.standard_normal((clips, taxonomy.num_actions))
    body = rng.standard_normal((clips, taxonomy.num_body_parts))
    action[np.arange(clips), labels] += gain
    body[np.arange(clips), taxonomy.parent_array[labels]] += gain
    return ScoreSet([f"c{i}" for i in range(clips)], labels, action, body, taxonomy, "s", "m")


def summary(scores: ScoreSet) -> list[Any]:
    numbers = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy).summary()
    assert tuple(numbers) == METRICS
    return list(numbers.values())


@pytest.mark.parametrize("taxonomy", [MA52, SMALL], ids=["ma52", "small"])
@pytest.mark.parametrize("classes", [None, 3], ids=["all classes", "three classes"])
def test_the_sums_give_the_metrics_of_any_resample(taxonomy: Taxonomy, classes: int | None) -> None:
    """Against `metrics.evaluate` on the drawn clips themselves, classes that a resample lacks included."""
    scores = make(40, 1, taxonomy=taxonomy, classes=classes)
    sums = _sums(Outcomes.of(scores))
    rng = np.random.default_rng(5)
    for _ in range(5):
        drawn = rng.integers(0, 40, 40)
        counts = np.bincount(drawn, minlength=40)[None]
        labels = scores.labels[drawn]
        numbers = evaluate(scores.action_logits[drawn], scores.body_logits[drawn], labels, taxonomy).summary()
        np.testing.assert_allclose(_metrics(counts @ sums, taxonomy)[0], list(numbers.values()), atol=1e-12)


def test_cells_hold_every_clip_once() -> None:
    outcomes = Outcomes.of(make(3000, 1, taxonomy=SMALL))
    rows, sizes = _cells([outcomes])
    assert sizes.sum() == 3000
    assert len(rows) < 100


def test_intervals_agree_with_scipy() -> None:
    """The same percentile bootstrap, drawn clip by clip; both have noise of their own."""
    scores = make(500, 1, taxonomy=SMALL)
    ours = bootstrap_intervals(Outcomes.of(scores), resamples=4000, seed=0)
    predicted = scores.action_logits.argmax(1)
    labels = scores.labels

    def f1(rows: Any) -> Any:
        return f1_score(labels[rows], predicted[rows], average="macro")

    def top1(rows: Any, axis: int) -> Any:
        return (labels[rows] == predicted[rows]).mean(axis=axis)

    rows = (np.arange(500),)
    options: Any = {"method": "percentile", "rng": np.random.default_rng(1)}
    theirs = stats.bootstrap(rows, top1, n_resamples=4000, vectorized=True, **options).confidence_interval
    np.testing.assert_allclose(ours["action_top1"], theirs, atol=0.005)
    theirs = stats.bootstrap(rows, f1, n_resamples=400, vectorized=False, **options).confidence_interval
    np.testing.assert_allclose(ours["action_f1_macro"], theirs, atol=0.012)


def test_intervals_hold_the_metrics_and_repeat_with_the_seed() -> None:
    scores = make(400, 1)
    intervals = bootstrap_intervals(Outcomes.of(scores), resamples=200, seed=3)
    assert tuple(intervals) == METRICS
    for (low, high), value in zip(intervals.values(), summary(scores), strict=True):
        assert low <= value <= high
    assert intervals == bootstrap_intervals(Outcomes.of(scores), resamples=200, seed=3)
    assert intervals != bootstrap_intervals(Outcomes.of(scores), resamples=200, seed=4)
    narrow = bootstrap_intervals(Outcomes.of(scores), resamples=200, seed=3, level=0.5)
    assert narrow["f1_mean"][0] > intervals["f1_mean"][0]


def test_unlabelled_clips_are_not_resampled() -> None:
    scores = make(60, 1)
    half = np.where(np.arange(60) < 30, scores.labels, -1)
    one = bootstrap_intervals(Outcomes.of(replace(scores, labels=half)), resamples=20)
    assert one == bootstrap_intervals(Outcomes.of(scores.select(np.arange(30))), resamples=20)


def test_comparison_equals_the_metrics_and_mcnemar() -> None:
    first, other = make(600, 1, 2.0), make(600, 2, 1.0)
    result = compare(Outcomes.of(first), Outcomes.of(other), resamples=300)
    differences = [a - b for a, b in zip(summary(first), summary(other), strict=True)]
    np.testing.assert_allclose(list(result.differences.values()), differences, atol=1e-12)
    right = [scores.action_logits.argmax(1) == scores.labels for scores in (first, other)]
    only = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    assert result.discordant["action"] == only
    # The exact test, as the sum of binomial probabilities in both tails.
    tail = 2 * stats.binom.cdf(min(only), sum(only), 0.5)
    assert result.p_values["action_top1"] == pytest.approx(tail)
    assert result.p_values["f1_mean"] == pytest.approx(2 / 301)
    low, high = result.intervals["f1_mean"]
    assert 0 < low < result.differences["f1_mean"] < high
    back = compare(Outcomes.of(other), Outcomes.of(first), resamples=300)
    assert back.p_values["action_top1"] == result.p_values["action_top1"]
    assert back.discordant["action"] == only[::-1]


def test_a_system_does_not_differ_from_itself() -> None:
    outcomes = Outcomes.of(make(100, 1))
    result = compare(outcomes, outcomes, resamples=50)
    assert set(result.differences.values()) == {0.0}
    assert set(result.p_values.values()) == {1.0}
    assert result.intervals["f1_mean"] == (0.0, 0.0)


def test_systems_on_other_clips_are_refused() -> None:
    with pytest.raises(ScoreError, match="other labels or another taxonomy"):
        compare(Outcomes.of(make(10, 1)), Outcomes.of(make(11, 1)))
