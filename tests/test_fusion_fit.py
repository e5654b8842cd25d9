"""The fit finds the least loss, follows the evidence, and is kept and applied as it was found."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import check_grad

from pcan_pose.alignment import align
from pcan_pose.errors import ScoreError
from pcan_pose.fusion import equal_settings, fuse, fuse_aligned, joint_probability, log_softmax
from pcan_pose.fusion_fit import _loss, fit_fusion
from pcan_pose.fusion_settings import FusionSettings, LevelFusion, Space, read_settings, write_settings
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy

TREE = Taxonomy("tree", ("nod", "shake", "rub", "tap", "wave"), ("head", "hand"), (0, 0, 1, 1, 1))
SPACES: list[Space] = ["probabilities", "logits"]


def make(clips: int, seed: int, gain: float, scale: float = 1.0, stream: str = "", **change: Any) -> ScoreSet:
    """Logits that are calibrated at scale 1, of labels that all sets of one size share."""
    labels = np.random.default_rng(clips).integers(0, 5, clips)
    rng = np.random.default_rng(seed)
    action, body = (rng.standard_normal((clips, width)) * np.sqrt(gain) for width in (5, 2))
    action[np.arange(clips), labels] += gain
    body[np.arange(clips), TREE.parent_array[labels]] += gain
    fields: dict[str, Any] = {
        "clip_ids": [f"{clips}-{i}" for i in range(clips)],
        "labels": labels,
        "action_logits": action * scale,
        "body_logits": body * scale,
        "taxonomy": TREE,
        "stream": stream or f"s{seed}",
        "model": "m",
    }
    return ScoreSet(**{**fields, **change})


def nll(scores: ScoreSet) -> float:
    return -float(log_softmax(scores.action_logits)[np.arange(len(scores)), scores.labels].mean())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("count", [1, 3])
def test_gradients_are_those_of_the_loss(space: Space, count: int) -> None:
    sets = [make(50, seed, 1.0, 2.0) for seed in range(count)]
    logits, labels = [s.action_logits.astype(np.float64) for s in sets], sets[0].labels
    parameters = np.random.default_rng(0).normal(0, 0.5, count + (1 if space == "logits" else count))
    error = check_grad(
        lambda at: _loss(at, logits, labels, space)[0], lambda at: _loss(at, logits, labels, space)[1], parameters
    )
    assert error < 1e-5


@pytest.mark.parametrize("space", SPACES)
def test_the_loss_is_that_of_the_fused_scores(space: Space) -> None:
    """What is minimised is what is applied."""
    sets = [make(80, 0, 1.0, 3.0), make(80, 1, 0.5)]
    aligned = align(sets)
    settings = fit_fusion(aligned, space=space)
    losses = settings.fitted["nll"]["action"]
    assert nll(fuse_aligned(aligned, settings)) == pytest.approx(losses["fitted"], abs=1e-5)
    assert nll(fuse(sets, space=space)) == pytest.approx(losses["equal"], abs=1e-5)
    assert losses["fitted"] < losses["equal"]


@pytest.mark.parametrize("space", SPACES)
def test_no_neighbour_is_better(space: Space) -> None:
    aligned = align([make(300, 0, 1.0, 3.0), make(300, 1, 0.5)])
    best = fit_fusion(aligned, space=space)
    loss = nll(fuse_aligned(aligned, best))
    (w, v), temperatures = best.action.weights, best.action.temperatures
    for weight in (0.9, 1.1):
        for temperature in (0.9, 1.0, 1.1):
            level = LevelFusion((w * weight, v), tuple(t * temperature for t in temperatures))
            assert nll(fuse_aligned(aligned, FusionSettings(space, level, level))) > loss - 1e-6


def test_an_overconfident_set_is_cooled_and_a_random_one_ignored() -> None:
    (temperature,) = fit_fusion(align([make(4000, 1, 1.0, 5.0)])).action.temperatures
    assert temperature == pytest.approx(5, rel=0.1)
    noise = make(4000, 2, 1.0, labels=make(4000, 1, 1.0).labels, clip_ids=[f"4000-{i}" for i in range(4000)])
    noise = ScoreSet(
        noise.clip_ids,
        noise.labels,
        np.random.default_rng(0).standard_normal((4000, 5)),
        np.random.default_rng(1).standard_normal((4000, 2)),
        TREE,
        "noise",
        "m",
    )
    for space in SPACES:
        assert fit_fusion(align([make(4000, 1, 2.0), noise]), space=space).action.shares[1] < 0.06


@pytest.mark.parametrize("space", SPACES)
def test_what_is_fitted_on_val_beats_the_better_branch_on_test(space: Space) -> None:
    """Two branches with noise of their own, one of them far too sure of itself."""
    val = align([make(1500, 1, 1.0, stream="pose"), make(1500, 2, 0.7, 10.0, "rgb")])
    test = align([make(1600, 3, 1.0, stream="pose"), make(1600, 4, 0.7, 10.0, "rgb")])
    settings = fit_fusion(val, space=space)
    top1 = [
        evaluate(s.action_logits, s.body_logits, s.labels, TREE).action.top1
        for s in (*test.sets, fuse_aligned(test, settings), fuse_aligned(test, equal_settings(2, space=space)))
    ]
    assert top1[2] > max(top1[0], top1[1]) + 0.02
    assert top1[2] > top1[3]


def test_the_body_weight_is_fitted_last_and_lowers_the_loss() -> None:
    aligned = align([make(800, 1, 0.5)])
    settings = fit_fusion(aligned, body_weight=True)
    fused = fuse_aligned(aligned, settings)
    losses = settings.fitted["nll"]["action_with_body"]
    assert 0 < settings.body_weight < 5
    assert nll(joint_probability(fused, settings.body_weight)) == pytest.approx(losses["fitted"], abs=1e-5)
    for other in (0.8, 1.2):
        assert nll(joint_probability(fused, settings.body_weight * other)) > losses["fitted"] - 1e-6
    assert fit_fusion(aligned).body_weight == 0


def test_body_scores_without_worth_get_no_weight() -> None:
    scores = make(800, 1, 1.0, body_logits=np.random.default_rng(0).standard_normal((800, 2)) * 0.01)
    misleading = ScoreSet(
        scores.clip_ids,
        scores.labels,
        scores.action_logits,
        -5.0 * np.eye(2)[TREE.parent_array[scores.labels]],
        TREE,
        "s",
        "m",
    )
    assert fit_fusion(align([misleading]), body_weight=True).body_weight == 0


def test_unlabelled_clips_are_named() -> None:
    scores = make(3, 1, 1.0, labels=np.array([0, -1, 2]))
    with pytest.raises(ScoreError, match=re.escape("val.parquet: no label in 1 of 3 clips (3-1); fit on labelled")):
        fit_fusion(align([scores]), names=["val.parquet"])


def test_settings_are_kept_to_the_last_bit(tmp_path: Path) -> None:
    sets = [make(100, 1, 1.0), make(100, 2, 0.5, 3.0)]
    settings = fit_fusion(align(sets), body_weight=True, names=["a", "b"])
    kept = read_settings(write_settings(tmp_path / "new" / "fusion.json", settings))
    assert kept == settings
    np.testing.assert_array_equal(
        fuse_aligned(align(sets), kept).action_logits, fuse_aligned(align(sets), settings).action_logits
    )


def test_settings_are_refused_for_other_branches_and_taxonomies() -> None:
    sets = [make(20, 1, 1.0, stream="pose"), make(20, 2, 1.0, stream="rgb")]
    settings = fit_fusion(align(sets))
    with pytest.raises(ScoreError) as caught:
        settings.check(sets[::-1], ["rgb.parquet", "pose.parquet"])
    assert caught.value.faults[0] == (
        "rgb.parquet: holds scores of m/rgb, but the fusion was fitted on m/pose in this place; "
        "give the files of both in the same order, tested in the same way."
    )
    changed = replace(sets[0], extra={"split": "test", "copies": "0", "neighbours": "10"})
    with pytest.raises(ScoreError, match=r"scores of m/pose \(neighbours 10\), but the fusion was fitted on m/pose in"):
        settings.check([changed, sets[1]], ["pose.parquet", "rgb.parquet"])
    part = replace(sets[0], extra={"split": "test", "members": "1, 3"})
    with pytest.raises(ScoreError, match=r"scores of m/pose \(members 1, 3\), but the fusion was fitted on m/pose in"):
        settings.check([part, sets[1]], ["pose.parquet", "rgb.parquet"])
    with pytest.raises(ScoreError, match="2 weights for 1 score sets: give one each"):
        settings.check(sets[:1], ["pose.parquet"])
    other = Taxonomy("other", TREE.actions[::-1], TREE.body_parts, TREE.parents)
    with pytest.raises(ScoreError, match="taxonomy 'other' is not the one that the fusion was fitted on"):
        settings.check([make(20, i, 1.0, stream=s, taxonomy=other) for i, s in ((1, "pose"), (2, "rgb"))], ["a", "b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "holds no fusion settings"),
        ({"schema_version": 2}, "schema version 2, this release reads 1"),
        ({"action": {"weights": [0], "temperatures": [1]}}, "weights are [0.0], expected"),
        ({"action": {"weights": [1], "temperatures": [0]}}, "temperatures are [0.0], expected"),
        ({"action": {"weights": [1, 1], "temperatures": [1]}}, "2 weights and 1 temperatures"),
        ({"action": {"weights": [1, 1], "temperatures": [1, 1]}}, "damaged fusion settings (levels"),
        ({"body": None}, "damaged fusion settings (TypeError"),
        ({"space": "x"}, "damaged fusion settings (levels or space"),
        ({"body_weight": -1}, "body weight is -1"),
        ({"taxonomy": {}}, "taxonomy: no "),
    ],
)
def test_damaged_settings_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write_settings(tmp_path / "f.json", equal_settings(1))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ScoreError, match=re.escape(message)) as caught:
        read_settings(path)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)


def test_unreadable_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text("no")
    for path in (tmp_path / "f.json", tmp_path / "none.json"):
        with pytest.raises(ScoreError, match="not a readable JSON file"):
            read_settings(path)


def test_a_folder_holds_no_settings(tmp_path: Path) -> None:
    for place in (tmp_path, "."):
        with pytest.raises(ScoreError, match=re.escape(f"{place}: cannot be written (it is a folder)")):
            write_settings(place, equal_settings(1))
