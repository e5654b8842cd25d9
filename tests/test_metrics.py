"""Metrics equal scikit-learn's, and say what they refuse."""

import re
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from pcan_pose.errors import ScoreError
from pcan_pose.level_metrics import label_ranks
from pcan_pose.metrics import evaluate
from pcan_pose.taxonomy import MA52, Taxonomy

SMALL = Taxonomy("small", ("nod", "shake", "rub", "tap"), ("head", "hand"), (0, 0, 1, 1))


def random_case(taxonomy: Taxonomy, clips: int, seed: int, classes: int | None = None) -> tuple[Any, Any, Any]:
    """Action logits, body logits and labels; labels come from the first `classes` actions only."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes or taxonomy.num_actions, clips)
    action = rng.standard_normal((clips, taxonomy.num_actions)).astype(np.float32)
    body = rng.standard_normal((clips, taxonomy.num_body_parts)).astype(np.float32)
    action[np.arange(clips), labels] += 1.5
    body[np.arange(clips), taxonomy.parent_array[labels]] += 1.0
    return action, body, labels


@pytest.mark.parametrize("taxonomy", [MA52, SMALL], ids=["ma52", "small"])
@pytest.mark.parametrize(
    ("clips", "seed", "classes"), [(2000, 0, None), (300, 1, 3), (40, 2, None), (1, 3, None)], ids=str
)
def test_equals_scikit_learn(taxonomy: Taxonomy, clips: int, seed: int, classes: int | None) -> None:
    """Every number of both levels, also where classes are absent from the labels, the predictions or both."""
    action, body, labels = random_case(taxonomy, clips, seed, classes)
    result = evaluate(action, body, labels, taxonomy)
    truths = {"action": labels, "body": taxonomy.parent_array[labels]}
    f1 = []
    for level, logits in (("action", action), ("body", body)):
        ours, truth, predicted = getattr(result, level), truths[level], logits.argmax(1)
        width = logits.shape[1]
        assert ours.top1 == pytest.approx(sk.accuracy_score(truth, predicted), abs=1e-12)
        if width > 5:
            theirs = sk.top_k_accuracy_score(truth, logits, k=5, labels=range(width))
            assert ours.top5 == pytest.approx(theirs, abs=1e-12)
        else:
            assert ours.top5 == 1.0
        assert ours.f1_macro == pytest.approx(sk.f1_score(truth, predicted, average="macro"), abs=1e-12)
        assert ours.f1_micro == pytest.approx(sk.f1_score(truth, predicted, average="micro"), abs=1e-12)
        np.testing.assert_array_equal(ours.confusion, sk.confusion_matrix(truth, predicted, labels=range(width)))
        precision, recall, each, support = sk.precision_recall_fscore_support(
            truth, predicted, labels=range(width), zero_division=0
        )
        np.testing.assert_allclose(ours.table.precision, precision, atol=1e-12)
        np.testing.assert_allclose(ours.table.recall, recall, atol=1e-12)
        np.testing.assert_allclose(ours.table.f1, each, atol=1e-12)
        np.testing.assert_array_equal(ours.table.support, support)
        np.testing.assert_array_equal(ours.table.predicted, np.bincount(predicted, minlength=width))
        f1 += [ours.f1_macro, ours.f1_micro]
    assert result.f1_mean == pytest.approx(np.mean(f1), abs=1e-12)
    assert result.clips == clips


def test_macro_f1_counts_classes_of_labels_or_predictions() -> None:
    """A class that is only predicted counts as 0, a class absent from both is left out."""
    result = evaluate(np.eye(4)[[0, 1]], np.eye(2)[[0, 0]], np.array([0, 0]), SMALL)
    assert result.action.f1_macro == pytest.approx((2 / 3 + 0) / 2)
    assert result.action.table.present.tolist() == [True, True, False, False]
    assert result.body.f1_macro == 1.0


def test_body_prediction_comes_from_the_body_logits() -> None:
    """A right action does not make its body part right."""
    result = evaluate(np.eye(4)[[2]], np.eye(2)[[0]], np.array([2]), SMALL)
    assert (result.action.top1, result.body.top1) == (1.0, 0.0)


def test_ties_go_to_the_lowest_id() -> None:
    """Prediction and rank agree on ties."""
    logits = np.zeros((4, 4), np.float32)
    labels = np.arange(4)
    np.testing.assert_array_equal(label_ranks(logits, labels), labels)
    result = evaluate(logits, np.zeros((4, 2)), labels, SMALL)
    assert result.action.top1 == 0.25
    assert result.action.table.predicted.tolist() == [4, 0, 0, 0]


def test_ranks_equal_a_loop_across_blocks() -> None:
    """The blockwise comparison ranks as sorting does."""
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 4, (40_000, 6)).astype(np.float32)
    labels = rng.integers(0, 6, 40_000)
    order = np.argsort(-logits, axis=1, kind="stable")
    np.testing.assert_array_equal(label_ranks(logits, labels), (order == labels[:, None]).argmax(1))


def test_summary_has_the_nine_numbers() -> None:
    """The names other tools rely on."""
    action, body, labels = random_case(MA52, 20, 6)
    assert list(evaluate(action, body, labels, MA52).summary()) == [
        *(f"body_{name}" for name in ("top1", "top5", "f1_macro", "f1_micro")),
        *(f"action_{name}" for name in ("top1", "top5", "f1_macro", "f1_micro")),
        "f1_mean",
    ]


def test_unlabelled_clips_are_refused_or_dropped_with_their_count() -> None:
    """Dropping equals measuring the labelled clips alone."""
    action, body, labels = random_case(MA52, 30, 7)
    partly = np.where(np.arange(30) % 10 == 0, -1, labels)
    with pytest.raises(ScoreError, match=r"no label in 3 of 30 clips \(row 0, row 10, row 20\): .*drop_unlabelled"):
        evaluate(action, body, partly, MA52)
    result = evaluate(action, body, partly, MA52, drop_unlabelled=True)
    kept = partly >= 0
    assert (result.clips, result.dropped) == (27, 3)
    assert result.summary() == evaluate(action[kept], body[kept], labels[kept], MA52).summary()


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("labels", [np.full(3, -1), np.empty(0, np.int64)], ids=["unlabelled", "empty"])
def test_nothing_to_measure_is_an_error(labels: Any, drop: bool) -> None:
    """No mean of nothing."""
    with pytest.raises(ScoreError, match="no labelled clip to measure"):
        evaluate(np.zeros((len(labels), 4)), np.zeros((len(labels), 2)), labels, SMALL, drop_unlabelled=drop)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action_logits": np.zeros((3, 5))}, "action logits have shape (3, 5), expected (3, 4)"),
        ({"body_logits": np.zeros((2, 2))}, "body logits have shape (2, 2), expected (3, 2)"),
        ({"labels": np.array([0, 4, -2])}, "labels are outside 0..3 (taxonomy 'small') in 2 of 3 clips (b, c)"),
        ({"action_logits": np.full((3, 4), np.nan)}, "action logits are not finite in 3 of 3 clips (a, b, c)"),
    ],
    ids=["action shape", "body shape", "label range", "not finite"],
)
def test_faults_are_named(change: dict[str, Any], message: str) -> None:
    """What is wrong, and in which clip."""
    case = {"action_logits": np.zeros((3, 4)), "body_logits": np.zeros((3, 2)), "labels": np.array([0, 1, 2])}
    with pytest.raises(ScoreError, match=re.escape(message)):
        evaluate(**{**case, **change}, taxonomy=SMALL, clip_ids=["a", "b", "c"])
