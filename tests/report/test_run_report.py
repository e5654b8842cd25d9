"""The report as a whole: which files, and what its words say."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_results import ACTIONS, LABELS, TREE, result, scores

from pcan_pose.errors import DataError
from pcan_pose.report.run_report import FILES, write_report


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_report_has_every_picture_and_says_the_numbers(tmp_path: Path) -> None:
    text = write_report(tmp_path / "report", result())
    assert names(tmp_path / "report") == FILES
    assert (tmp_path / "report" / "report.md").read_text(encoding="utf-8") == text
    for picture in FILES - {"report.md"}:
        assert f"]({picture})" in text
    assert "# run, split val" in text
    # Body 5 of 7, actions 3 of 7.
    assert "| run | 57.14 |" in text
    assert "| 42.86 |" in text
    for row in ("TP | both right | 2", "FN1 | body part right, action wrong | 2", "FN3 | both wrong | 2"):
        assert f"| {row} | 28.6% |" in text
    assert "| FN2 | body part wrong, action right | 1 | 14.3% |" in text
    assert "| FP | action wrong, counted for the action that it was taken for | 4 | 57.1% |" in text
    assert "4 actions are wrong; of them 2 (50%) were taken for another action of the same body part" in text
    assert "| 0 nod | 1 shake | 1 of 2 | yes |" in text
    assert "| 3 wave | 4 point\\|at | 1 of 3 | yes |" in text
    assert "4 of 5 actions have a prototype" in text
    assert "without a prototype: 2 tilt." in text
    assert "| 0 nod | 1 shake | 0.71 | yes |" in text
    assert "Without a clip in this split (2): 2 tilt; 4 point|at." in text
    assert "| 3 wave | 3 | 50.0 | 33.3 | 40.0 | 1 | 0 | 1 | 1 |" in text
    assert "baseline" not in text


@pytest.mark.usefixtures("undrawn")
def test_a_baseline_is_joined_by_clip_id(tmp_path: Path) -> None:
    order = np.array([6, 5, 4, 3, 2, 1, 0])
    worse = scores(actions=np.where(ACTIONS == 0, 2, ACTIONS), model="old").select(order)
    text = write_report(tmp_path, result(baseline=worse))
    assert "Against old: 1 actions better, 0 worse, 2 equal." in text
    assert "| baseline old |" in text
    assert "| 0 nod | +50.0 | 2 |" in text


@pytest.mark.usefixtures("undrawn")
def test_a_baseline_of_other_clips_or_labels_is_refused(tmp_path: Path) -> None:
    fewer = scores(model="old").select(np.arange(5))
    with pytest.raises(DataError, match="baseline 'old': lacks 2 of the 7 clips, such as 'clip5'"):
        write_report(tmp_path, result(baseline=fewer))
    other = scores(taxonomy=replace(TREE, name="other", actions=TREE.actions[::-1]), model="old")
    with pytest.raises(DataError, match="baseline 'old': its taxonomy 'other' is not the run's 'small'"):
        write_report(tmp_path, result(baseline=other))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("undrawn")
def test_no_prototypes_are_words_not_noise(tmp_path: Path) -> None:
    bare = result(seen=np.zeros(5, bool), prototypes=np.ones((5, 4)), trained_embeddings=False)
    text = write_report(tmp_path, bare)
    assert names(tmp_path) == FILES - {"prototype_similarity.png"}
    assert "This run has no prototypes" in text
    assert "prototype_similarity.png" not in text
    assert "a random view of the pooled features" in text


@pytest.mark.usefixtures("undrawn")
def test_clips_without_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    hidden = LABELS.copy()
    hidden[[2, 3]] = -1
    text = write_report(tmp_path, result(scores=scores(hidden), baseline=scores(hidden, model="old")))
    assert "Against old: 0 actions better, 0 worse, 2 equal." in text
    assert "5 clips, in per cent. 2 clips without a label are left out." in text
    with pytest.raises(DataError, match=re.escape("none of the 7 clips of split 'val' has a label")):
        write_report(tmp_path, result(scores=scores(np.full(7, -1))))


@pytest.mark.usefixtures("undrawn")
def test_a_perfect_run_has_no_mistakes_to_name(tmp_path: Path) -> None:
    bodies = np.eye(2, dtype=np.float32)[TREE.parent_array[LABELS]]
    text = write_report(tmp_path, result(scores=scores(actions=LABELS, body_logits=bodies)))
    assert "Every action is right." in text
    assert "Never recognised (" not in text
    assert "Actions that most clips are wrongly taken for" not in text
