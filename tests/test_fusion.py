"""Fusion goes by clip id, equals the naive arithmetic, and refuses what does not fit."""

import logging
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pcan_pose.alignment import align
from pcan_pose.errors import ScoreError
from pcan_pose.fusion import fuse, joint_probability, log_softmax, tree_fusion
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy

SMALL = Taxonomy("small", ("nod", "shake", "rub", "tap"), ("head", "hand"), (0, 0, 1, 1))
OTHER = Taxonomy("small", ("nod", "shake", "tap", "rub"), ("head", "hand"), (0, 0, 1, 1))


def make(ids: str, seed: int = 0, scale: float = 1.0, **change: Any) -> ScoreSet:
    """A random score set with one clip a letter; the label of a letter is the same in every set."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "clip_ids": list(ids),
        "labels": np.array([ord(letter) % 4 for letter in ids]),
        "action_logits": rng.standard_normal((len(ids), 4)) * scale,
        "body_logits": rng.standard_normal((len(ids), 2)) * scale,
        "taxonomy": SMALL,
        "stream": f"stream{seed}",
        "model": "pose",
    }
    return ScoreSet(**{**fields, **change})


def softmax(logits: Any) -> Any:
    """The textbook formula, in float64."""
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("weights", [None, (1.0, 0.5, 0.25), (0.0, 2.0, 0.0)], ids=str)
def test_probabilities_are_averaged_by_id(weights: tuple[float, ...] | None) -> None:
    """Against a loop over clips, with every set in another order."""
    sets = [make("abcdef", 0), make("fbdaec", 1, 3.0), make("cdefab", 2)]
    fused = fuse(sets, weights)
    given = np.ones(3) if weights is None else np.asarray(weights)
    assert fused.clip_ids == tuple("abcdef")
    for level in ("action_logits", "body_logits"):
        for row, clip_id in enumerate("abcdef"):
            terms = [softmax(getattr(s, level))[s.clip_ids.index(clip_id)] for s in sets]
            expected = np.average(terms, axis=0, weights=given)
            np.testing.assert_allclose(np.exp(getattr(fused, level)[row]), expected, rtol=1e-5)
    assert fused.extra["weights"] == ", ".join(f"{w:.6g}" for w in given / given.sum())


def test_logits_are_averaged_as_they_are() -> None:
    """The other space."""
    sets = [make("abc", 0), make("cab", 1)]
    fused = fuse(sets, [3, 1], space="logits")
    expected = 0.75 * sets[0].action_logits + 0.25 * sets[1].action_logits[[1, 2, 0]]
    np.testing.assert_allclose(fused.action_logits, expected, rtol=1e-6)


def test_the_order_of_files_and_rows_changes_nothing() -> None:
    """Only the order of the result follows the first file."""
    one, two = make("abcdef", 0), make("fbdaec", 1)
    there, back = fuse([one, two], [1, 2]), fuse([two, one], [2, 1])
    order = np.array([back.clip_ids.index(clip_id) for clip_id in there.clip_ids])
    np.testing.assert_allclose(there.action_logits, back.action_logits[order], rtol=1e-6)


def test_underflowing_probabilities_stay_finite() -> None:
    """Logits far apart give probabilities that no float holds, but their logarithm does."""
    fused = fuse([make("abc", 0, 1e4), make("abc", 1, 1e4)])
    assert np.isfinite(fused.action_logits).all()
    assert fused.action_logits.min() < -1000


def test_fused_scores_fuse_and_measure_like_any_other() -> None:
    """Fusing a set with itself keeps its probabilities."""
    scores = make("abcdef")
    fused = fuse([scores, replace(scores, stream="copy")])
    np.testing.assert_allclose(np.exp(fused.action_logits), softmax(scores.action_logits), rtol=1e-5)
    assert (fused.stream, fused.model) == ("stream0+copy", "pose")
    before, after = (
        evaluate(s.action_logits, s.body_logits, s.labels, SMALL).summary() for s in (scores, fuse([fused, scores]))
    )
    assert before == after


def test_missing_clips_are_one_error_with_counts_and_names() -> None:
    """Each file is told what it lacks, and the next step comes last."""
    with pytest.raises(ScoreError) as caught:
        fuse(
            [make("abcdefghij"), make("jkab", 1), make("abcdefghijk", 2)], names=["x.parquet", "y.parquet", "z.parquet"]
        )
    assert caught.value.faults == (
        "x.parquet: lacks 1 of 11 clips (k).",
        "y.parquet: lacks 7 of 11 clips (c, d, e, f, g and 2 more).",
        "Give files of the same clips, or keep the common ones with missing=intersect (--missing intersect).",
    )


def test_intersect_keeps_the_common_clips_and_reports_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is left out silently."""
    sets = [make("abcd"), make("dxba", 1)]
    with caplog.at_level(logging.WARNING):
        fused = fuse(sets, missing="intersect")
    assert fused.clip_ids == tuple("abd")
    report = "2 clips left out, because not every score set has them (by set: 1, 1): c, x."
    assert caplog.messages == [report]
    assert fused.extra["left_out"] == "1, 1"
    aligned = align(sets, missing="intersect")
    assert aligned.left_out == (("c",), ("x",))
    assert aligned.report == report
    assert [s.clip_ids for s in aligned.sets] == [tuple("abd")] * 2


def test_labels_are_completed_and_conflicts_named() -> None:
    """A label that one file knows serves all; two that differ are an error."""
    known = make("abc")
    unknown = make("cba", 1, labels=np.full(3, -1))
    np.testing.assert_array_equal(fuse([unknown, known]).labels, known.labels[[2, 1, 0]])
    wrong = make("abc", 1, labels=(known.labels + np.array([0, 1, 1])) % 4)
    with pytest.raises(
        ScoreError,
        match=re.escape("set 2: 2 labels contradict those of the sets before it (b: 3, before 2, c: 0, before 3)."),
    ):
        fuse([known, wrong])


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ([], {}, "no score set to fuse"),
        (
            [make("ab"), make("ab", taxonomy=OTHER)],
            {},
            "set 2: taxonomy 'small' (4 actions, 2 body parts) is not the one",
        ),
        ([make("ab"), make("cd")], {"missing": "intersect"}, "no clip is in all of set 1, set 2."),
        ([make("ab")], {"weights": [1, 2]}, "2 weights for 1 score sets: give one each."),
        ([make("ab")], {"weights": [-1]}, "weights are [-1.0], expected finite numbers of 0 or more"),
        ([make("ab")], {"weights": [0]}, "weights are [0.0]"),
        ([make("ab")], {"weights": [float("nan")]}, "weights are [nan]"),
        ([make("ab")], {"space": "logit"}, "space is 'logit'. Did you mean 'logits'?"),
        ([make("ab")], {"missing": "skip"}, "missing is 'skip'. Known: error, intersect."),
        ([make("ab")], {"names": ["x", "y"]}, "2 names for 1 score sets."),
    ],
)
def test_unfit_requests_are_explained(sets: list[ScoreSet], options: dict[str, Any], message: str) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(ScoreError, match=re.escape(message)):
        fuse(sets, **options)


def test_joint_probability_equals_the_product() -> None:
    """p(a) * p(b(a)), renormalised; the body logits stay."""
    scores = make("abcdef")
    joint = joint_probability(scores)
    product = softmax(scores.action_logits) * softmax(scores.body_logits)[:, [0, 0, 1, 1]]
    np.testing.assert_allclose(np.exp(joint.action_logits), product / product.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(joint.body_logits, scores.body_logits)
    assert (joint.extra["joint_probability"], joint.extra["body_weight"]) == ("action x body", "1")


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_tree_fusion_equals_the_formula(weight: float) -> None:
    """log p(a) + weight * log p_b(b(a)), clip by clip and action by action; parents in any order."""
    rng = np.random.default_rng(3)
    action, body, parents = rng.standard_normal((5, 6)), rng.standard_normal((5, 3)), np.array([2, 0, 1, 1, 0, 2])
    fused = tree_fusion(action, body, parents, weight)
    assert fused.shape == action.shape
    for clip in range(5):
        of_action = np.exp(action[clip]) / np.exp(action[clip]).sum()
        of_body = np.exp(body[clip]) / np.exp(body[clip]).sum()
        for a in range(6):
            assert fused[clip, a] == pytest.approx(np.log(of_action[a]) + weight * np.log(of_body[parents[a]]))


def test_tree_fusion_is_stable_for_large_logits() -> None:
    """A probability that underflows stays a finite score."""
    fused = tree_fusion(np.array([[0.0, 2000.0]]), np.array([[3000.0, 0.0]]), np.array([0, 1]), 0.5)
    np.testing.assert_allclose(fused, [[-2000, -1500]])


def test_joint_probability_of_several_sets_fuses_the_sets_first() -> None:
    """Each level across sets, then the levels: not the mean of each set's joint probabilities."""
    sets = [make("abcdef", 0), make("fbdaec", 1, 3.0)]
    joint = joint_probability(fuse(sets), 0.5)
    action, body = (
        np.mean([softmax(getattr(s, level))[[s.clip_ids.index(clip_id) for clip_id in "abcdef"]] for s in sets], axis=0)
        for level in ("action_logits", "body_logits")
    )
    product = action * body[:, [0, 0, 1, 1]] ** 0.5
    np.testing.assert_allclose(np.exp(joint.action_logits), product / product.sum(1, keepdims=True), rtol=1e-5)
    assert joint.extra["weights"] == "0.5, 0.5"
    assert joint.extra["body_weight"] == "0.5"


def test_tree_fusion_names_every_fault_at_once() -> None:
    """Shapes, parents and weight."""
    with pytest.raises(ScoreError) as caught:
        tree_fusion(np.zeros((2, 3)), np.zeros((4, 2)), np.array([0, 2]), -1)
    assert caught.value.faults == (
        "action logits of 2 clips, body logits of 4: give both of the same clips.",
        "parents have shape (2,), expected (3,): a body part for each action.",
        "parents are 0 to 2, expected body parts in 0..1.",
        "the body parts' weight is -1, expected a finite number of 0 or more.",
    )
    with pytest.raises(ScoreError, match=r"^the body parts' weight is nan, expected"):
        joint_probability(make("ab"), float("nan"))


def test_log_softmax_sums_to_one_at_any_scale() -> None:
    """Stable for large logits."""
    np.testing.assert_allclose(np.exp(log_softmax(np.array([[1e5, 0, -1e5], [3.0, 3.0, 3.0]]))).sum(1), 1)
