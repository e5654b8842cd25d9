"""Scores that mmaction2 and the official PCAN repository dump come in by the order of the annotation list."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pcan_pose.clip_list import ClipList, read_clip_list
from pcan_pose.errors import DataError, ScoreError
from pcan_pose.fusion import fuse
from pcan_pose.mmaction_scores import read_mmaction_scores
from pcan_pose.submission import submission_csv
from pcan_pose.taxonomy import MA52

CLIPS = 6


def probabilities(seed: int, width: int) -> torch.Tensor:
    return torch.randn(CLIPS, width, generator=torch.Generator().manual_seed(seed)).mul(3).softmax(1)


def official() -> list[dict[str, Any]]:
    """What DumpResults holds of the official head: rows of a batch, placeholders for labels, facts of the clip."""
    parts = {"rgb": 52, "pose": 52, "rgb_coarse": 7, "pose_coarse": 7}
    scores = {name: probabilities(seed, width) for seed, (name, width) in enumerate(parts.items())}
    return [
        {
            "pred_scores": {name: of[row] for name, of in scores.items()},
            "pred_labels": {name: of[row].argmax(0, keepdim=True) for name, of in scores.items()},
            "gt_labels": {"item": torch.tensor([0])},
            "img_shape": (224, 224),
            "num_classes": 52,
        }
        for row in range(CLIPS)
    ]


def listed(folder: Path, labels: Any = (0,) * CLIPS) -> ClipList:
    text = "".join(f"test{i:04d}.mp4 {label}\n" for i, label in enumerate(labels))
    (folder / "list.txt").write_text(text)
    return read_clip_list(folder / "list.txt")


def dump(folder: Path, content: Any) -> Path:
    (folder / "result.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return folder / "result.pkl"


def fails(folder: Path, content: Any, clips: ClipList | None = None, **options: Any) -> str:
    path = dump(folder, content)
    with pytest.raises((DataError, ScoreError)) as caught:
        read_mmaction_scores(path, clips or listed(folder), MA52, **options)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_branch_is_read_with_its_body_parts(tmp_path: Path) -> None:
    content = official()
    path = dump(tmp_path, content)
    scores = read_mmaction_scores(path, listed(tmp_path), MA52, branch="rgb", prefix="test/")
    assert scores.clip_ids[:2] == ("test/test0000", "test/test0001")
    assert scores.labels.tolist() == [-1] * CLIPS
    assert (scores.stream, scores.model, scores.extra["body"]) == ("rgb", "mmaction2", "own scores")
    for row, sample in enumerate(content):
        np.testing.assert_allclose(np.exp(scores.action_logits[row]), sample["pred_scores"]["rgb"], rtol=1e-5)
        np.testing.assert_allclose(np.exp(scores.body_logits[row]), sample["pred_scores"]["rgb_coarse"], rtol=1e-5)


def test_both_branches_fused_give_the_official_prediction(tmp_path: Path) -> None:
    """The official evaluation takes the mean of both branches' probabilities and writes the five likeliest."""
    content, clips = official(), listed(tmp_path)
    path = dump(tmp_path, content)
    fused = fuse([read_mmaction_scores(path, clips, MA52, branch=name) for name in ("rgb", "pose")])
    lines = submission_csv(fused, clips.videos).decode().splitlines()[1:]
    for line, video, sample in zip(lines, clips.videos, content, strict=True):
        of = sample["pred_scores"]
        action, body = (of["rgb"] + of["pose"]) / 2, (of["rgb_coarse"] + of["pose_coarse"]) / 2
        expected = [*action.topk(5).indices.tolist(), *body.topk(5).indices.tolist()]
        assert line == ",".join([video, *map(str, expected)])


@pytest.mark.parametrize(
    "form",
    [
        lambda row: row.numpy(),
        lambda row: row.tolist(),
        lambda row: row,
        lambda row: {"pred_score": row, "gt_label": torch.tensor([1])},
        lambda row: {"pred_scores": {"item": row}, "gt_labels": {"item": np.array([1])}},
        lambda row: {"rgb": row.numpy()},
    ],
    ids=["arrays", "lists", "tensors", "pred_score", "pred_scores", "flat"],
)
def test_every_form_is_read_and_body_parts_are_summed(tmp_path: Path, form: Any) -> None:
    rows = probabilities(0, 52)
    clips = listed(tmp_path, (1,) * CLIPS)
    scores = read_mmaction_scores(dump(tmp_path, [form(row) for row in rows]), clips, MA52)
    np.testing.assert_allclose(np.exp(scores.action_logits), rows, rtol=1e-5)
    sums = np.stack([rows[:, MA52.parent_array == part].sum(1) for part in range(7)], 1)
    np.testing.assert_allclose(np.exp(scores.body_logits), sums, rtol=1e-5)
    assert scores.labels.tolist() == [1] * CLIPS
    assert scores.extra == {"imported": "mmaction2 probabilities", "body": "summed from the actions"}


def test_logits_stay_and_probabilities_of_0_stay_finite(tmp_path: Path) -> None:
    logits = torch.randn(CLIPS, 52).double().numpy()
    scores = read_mmaction_scores(dump(tmp_path, list(logits)), listed(tmp_path), MA52)
    np.testing.assert_allclose(scores.action_logits, logits, rtol=1e-6)
    assert scores.extra["imported"] == "mmaction2 logits"
    certain = np.eye(52)[[3] * CLIPS]
    scores = read_mmaction_scores(dump(tmp_path, list(certain)), listed(tmp_path), MA52)
    assert np.isfinite(scores.action_logits).all()
    assert (scores.action_logits.argmax(1) == 3).all()
    assert (scores.body_logits.argmax(1) == 0).all()
    scores = read_mmaction_scores(dump(tmp_path, list(certain)), listed(tmp_path), MA52, kind="logits")
    assert scores.action_logits.max() == 1


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    assert fails(tmp_path, official()[:5]).startswith("5 clips, but ")
    assert "holds the branches rgb, pose: choose one (--branch rgb)." in fails(tmp_path, official())
    assert fails(tmp_path, official(), branch="rbg") == "holds no branch 'rbg'. Did you mean 'rgb'?"
    narrow = [row[:51] for row in probabilities(0, 52)]
    assert "scores 'item' have shape (51,), expected (52,), in 6 of 6 clips (test0000.mp4" in fails(tmp_path, narrow)
    lacking = official()
    del lacking[4]["pred_scores"]["rgb"]
    assert "in 1 of 6 clips (test0004.mp4)" in fails(tmp_path, lacking, branch="rgb")
    assert "action_logits are not finite in 6 of 6 clips" in fails(tmp_path, [np.full(52, np.nan)] * CLIPS)
    negative = [np.full(52, -1.0)] * CLIPS
    assert "probabilities below 0 in 6 of 6 clips" in fails(tmp_path, negative, kind="probabilities")
    assert fails(tmp_path, {"a": 1}) == "holds dict, expected a list with one entry a clip."
    assert fails(tmp_path, [{"a": 1}] * CLIPS).startswith("entry 0 is a dict with a; expected an array of scores")
    assert fails(tmp_path, [3] * CLIPS).startswith("entry 0 is int; expected")


@pytest.mark.parametrize(
    "strange",
    [[[1, 2], [3]], np.array(["a", "b"]), ["0.5"] * 52, [None] * 52, [np.zeros(2), np.zeros(3)], np.array([1j] * 52)],
    ids=["ragged", "text", "numbers as text", "nothing", "ragged arrays", "complex"],
)
def test_scores_that_are_no_numbers_are_named(tmp_path: Path, strange: Any) -> None:
    content = probabilities(0, 52)
    some = [strange if row in (1, 4) else scores for row, scores in enumerate(content)]
    told = "are no array of numbers in 2 of 6 clips (test0001.mp4, test0004.mp4)."
    assert fails(tmp_path, some) == f"scores 'item' {told}"
    branches = [{"pred_scores": {"rgb": row, "rgb_coarse": row[:7]}} for row in content]
    for row in (1, 4):
        branches[row]["pred_scores"]["rgb_coarse"] = strange
    assert fails(tmp_path, branches) == f"scores 'rgb_coarse' {told}"


def test_a_ragged_label_is_no_label(tmp_path: Path) -> None:
    content = [{"pred_score": row, "gt_label": [[1, 2], [3]]} for row in probabilities(0, 52)]
    assert len(read_mmaction_scores(dump(tmp_path, content), listed(tmp_path), MA52)) == CLIPS


def test_labels_tell_a_list_in_another_order(tmp_path: Path) -> None:
    content = [{"pred_score": row, "gt_label": torch.tensor([i])} for i, row in enumerate(probabilities(0, 52))]
    right = read_mmaction_scores(dump(tmp_path, content), listed(tmp_path, range(CLIPS)), MA52)
    assert right.labels.tolist() == list(range(CLIPS))
    text = fails(tmp_path, content, listed(tmp_path, [1, 0, 2, 3, 4, 5]))
    assert "in 2 of 6 clips (test0000.mp4, test0001.mp4); is it the list that was tested?" in text


class ActionDataSample:
    """Stands for mmaction2's class."""


def test_samples_of_a_class_are_refused_with_the_way_out(tmp_path: Path) -> None:
    text = fails(tmp_path, [ActionDataSample()] * CLIPS)
    assert re.match(r"holds code: \S*ActionDataSample|holds code: copyreg", text) or "refused" in text
    assert "turn every data sample into a dict (sample.to_dict())" in text
