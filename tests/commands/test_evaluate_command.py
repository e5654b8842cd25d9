"""`evaluate` prints the table, writes what is asked for, and refuses what does not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluate_runs import fails, run

from pcan_pose.errors import DataError, PcanError, ScoreError
from pcan_pose.fusion import fuse, joint_probability
from pcan_pose.metrics import evaluate as measure
from pcan_pose.scores import ScoreSet, read_scores, write_scores
from pcan_pose.taxonomy import MA52

CLIPS = 60
SUFFIXES = {"--confusion": ".csv", "--predictions": ".csv", "--submission": ".zip"}


def scores(seed: int, order: Any = None, **change: Any) -> ScoreSet:
    rng = np.random.default_rng(seed)
    order = np.arange(CLIPS) if order is None else order
    labels = np.random.default_rng(0).integers(0, MA52.num_actions, CLIPS)[order]
    action = rng.standard_normal((len(order), MA52.num_actions))
    action[np.arange(len(order)), labels] += 2
    body = rng.standard_normal((len(order), MA52.num_body_parts))
    body[np.arange(len(order)), MA52.parent_array[labels]] += 1
    fields = {"labels": labels, "action_logits": action, "body_logits": body, "taxonomy": MA52}
    ids = [f"clip{i:02d}" for i in order]
    return ScoreSet(ids, **{**fields, "stream": f"s{seed}", "model": "m", **change})


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two score files of the same clips in another order."""
    write_scores(tmp_path / "joint.parquet", scores(1))
    write_scores(tmp_path / "rgb [1].parquet", scores(2, np.random.default_rng(9).permutation(CLIPS)))
    return [str(tmp_path / "joint.parquet"), str(tmp_path / "rgb [1].parquet")]


def summary(of: ScoreSet) -> dict[str, float | None]:
    return measure(of.action_logits, of.body_logits, of.labels, MA52).summary()


def test_the_table_has_each_file_and_the_fused_row(files: list[str]) -> None:
    outcome = run(*files)
    assert outcome.exit_code == 0, outcome.output
    lines = outcome.output.splitlines()
    assert lines[0].strip() == "ma52: 7 body parts, 52 actions (per cent)"
    fused = next(line.split() for line in lines if line.strip().startswith("fused"))
    expected = summary(fuse([read_scores(file) for file in files]))
    assert fused[1:] == ["60", *(f"{100 * (value or 0):.2f}" for value in expected.values())]
    assert "joint.parquet" in outcome.output
    assert "[1].parquet" in outcome.output.replace("\n", "").replace(" ", "")


def test_json_holds_every_number(files: list[str], tmp_path: Path) -> None:
    outcome = run(
        *files, "--weights", "1,0.5", "--space", "logits", "--joint", "--json", tmp_path / "r" / "result.json"
    )
    assert outcome.exit_code == 0, outcome.output
    content = json.loads((tmp_path / "r" / "result.json").read_text())
    sets = [read_scores(file) for file in files]
    fused = fuse(sets, [1, 0.5], space="logits")
    for row, name, expected in zip(
        content["rows"], [*files, "fused", "fused, joint"], [*sets, fused, joint_probability(fused)], strict=True
    ):
        assert row["scores"] == name
        assert row["metrics"] == summary(expected)
        assert (row["clips"], row["dropped"]) == (CLIPS, 0)
        assert np.sum(row["confusion"]["action"]) == CLIPS
        assert sum(each["support"] for each in row["classes"]["body"]) == CLIPS
    assert content["taxonomy"] == MA52.to_dict()
    assert content["rows"][2]["extra"]["weights"] == "0.666667, 0.333333"


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_levels_are_fused_after_the_files(files: list[str], tmp_path: Path, weight: float) -> None:
    out = tmp_path / "both.parquet"
    outcome = run(*files, "--weights", "1,0.5", "--body-weight", weight, "--json", "-", "--out", out)
    assert outcome.exit_code == 0, outcome.output
    last = json.loads(outcome.stdout)["rows"][-1]
    expected = joint_probability(fuse([read_scores(file) for file in files], [1, 0.5]), weight)
    assert last["scores"] == f"fused, body weight {weight:g}"
    assert last["metrics"] == summary(expected)
    assert last["extra"]["body_weight"] == f"{weight:g}"
    np.testing.assert_array_equal(read_scores(out).action_logits, expected.action_logits)


def test_one_file_alone_has_its_levels_fused(files: list[str]) -> None:
    rows = json.loads(run(files[0], "--body-weight", "0.5", "--json", "-").stdout)["rows"]
    assert [row["scores"] for row in rows] == [files[0], f"{files[0]}, body weight 0.5"]
    assert rows[1]["metrics"] == summary(joint_probability(read_scores(files[0]), 0.5))
    assert rows[1]["metrics"]["body_top1"] == rows[0]["metrics"]["body_top1"]


def test_body_weight_0_is_off(files: list[str]) -> None:
    assert run(*files, "--body-weight", "0", "--json", "-").stdout == run(*files, "--json", "-").stdout


def test_json_on_standard_output_is_nothing_but_json(files: list[str], tmp_path: Path) -> None:
    outcome = run(*files, "--json", "-", "--out", tmp_path / "fused.parquet")
    assert [row["scores"] for row in json.loads(outcome.stdout)["rows"]] == [*files, "fused"]
    assert outcome.stderr.startswith("wrote ")


def test_out_and_plots_are_written_from_the_last_row(files: list[str], tmp_path: Path) -> None:
    outcome = run(*files, "--out", tmp_path / "fused.parquet", "--plots", tmp_path / "plots")
    assert outcome.exit_code == 0, outcome.output
    fused = read_scores(tmp_path / "fused.parquet")
    np.testing.assert_array_equal(fused.action_logits, fuse([read_scores(f) for f in files]).action_logits)
    assert outcome.output.count("wrote ") == 4
    assert len(list((tmp_path / "plots").iterdir())) == 3


def test_one_file_alone_has_no_fused_row(files: list[str]) -> None:
    outcome = run(files[0], "--per-class")
    assert outcome.exit_code == 0, outcome.output
    assert "fused" not in outcome.output
    assert "The names of ids 3 and 4 look swapped" in outcome.output
    table = read_scores(files[0])
    present = np.isin(np.arange(MA52.num_actions), [table.labels, table.action_logits.argmax(1)])
    for name, shown in zip(MA52.actions, present, strict=True):
        cells = next(line.split(name)[1].split() for line in outcome.output.splitlines() if f" {name} " in line)
        assert (cells == ["-", "-", "-", "0", "0"]) != shown


def test_a_subset_is_measured_alone(files: list[str], tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("clip03\n\nclip40\nclip07\n")
    outcome = run(*files, "--subset", ids, "--json", "-")
    content = json.loads(outcome.stdout)
    assert [row["clips"] for row in content["rows"]] == [3, 3, 3]
    assert content["rows"][0]["metrics"] == summary(scores(1).select(np.array([3, 7, 40])))


def test_ids_of_a_subset_that_no_file_has_are_named(files: list[str], tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("clip03\nother\n")
    text = fails(ScoreError, *files, "--subset", ids)
    assert text.splitlines() == [f"{file}: lacks 1 of the 2 clips of {ids} (other)." for file in files]
    outcome = run(*files, "--subset", ids, "--missing", "intersect")
    assert outcome.exit_code == 0
    assert outcome.stderr.splitlines() == text.splitlines()
    ids.write_text("\n")
    assert "holds no clip id" in fails(DataError, *files, "--subset", ids)
    assert "cannot be read" in fails(DataError, *files, "--subset", tmp_path / "none.txt")


def test_missing_clips_stop_or_are_left_out(files: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    short = write_scores(tmp_path / "short.parquet", scores(3, np.arange(50)))
    assert f"{short}: lacks 10 of 60 clips (clip50, clip51" in fails(ScoreError, files[0], short)
    outcome = run(files[0], short, "--missing", "intersect", "--json", "-")
    rows = json.loads(outcome.stdout)["rows"]
    assert [row["clips"] for row in rows] == [50, 50, 50]
    assert rows[0]["metrics"] == summary(scores(1).select(np.arange(50)))
    assert caplog.messages == [
        "10 clips left out, because not every score set has them (by set: 10, 0): "
        "clip50, clip51, clip52, clip53, clip54 and 5 more."
    ]


def test_rows_have_the_labels_that_any_file_knows(files: list[str], tmp_path: Path) -> None:
    nothing = write_scores(tmp_path / "nothing.parquet", scores(3, labels=np.full(CLIPS, -1)))
    outcome = run(files[0], nothing, "--json", "-")
    assert outcome.exit_code == 0, outcome.exception
    rows = json.loads(outcome.stdout)["rows"]
    assert [row["clips"] for row in rows] == [CLIPS] * 3
    assert [row["metrics"] for row in rows[:2]] == [summary(scores(1)), summary(scores(3))]


def test_unlabelled_clips_are_an_error_or_dropped_and_said(tmp_path: Path) -> None:
    labels = np.where(np.arange(CLIPS) < 2, -1, scores(1).labels)
    file = write_scores(tmp_path / "s.parquet", scores(1, labels=labels))
    assert f"{file}: no label in 2 of 60 clips (clip00, clip01): " in fails(ScoreError, file)
    outcome = run(file, "--drop-unlabelled")
    assert outcome.exit_code == 0
    assert "2 clips without a label left out." in outcome.output.replace("\n", " ")


def test_scores_without_labels_are_fused_and_not_measured(tmp_path: Path) -> None:
    nothing = np.full(CLIPS, -1)
    files = [write_scores(tmp_path / f"{i}.parquet", scores(i, labels=nothing)) for i in (1, 2)]
    out = tmp_path / "fused.parquet"
    assert run(*files, "--out", out).output == f"wrote {out} (60 clips); none has a label, so nothing was measured.\n"
    assert (read_scores(out).labels == -1).all()
    assert "there is no labelled clip to measure" in fails(ScoreError, *files)


def test_the_faults_of_all_files_come_at_once(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    text = fails(ScoreError, tmp_path / "none.parquet", files[0], tmp_path / "text.parquet")
    assert [line.split(":")[0] for line in text.splitlines()] == [
        str(tmp_path / n) for n in ("none.parquet", "text.parquet")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "1,x"], "'1,x' is not a list of numbers such as 1,0.5."),
        (["--weights", "1"], "1 weights for 2 score files: give one each, as in 1,0.5."),
        (["--out", "FIRST"], "is a file that is read; name another."),
        (["--json", "FIRST"], "is a file that is read; name another."),
        (["--fit", "fit.parquet", "--fit", "fit2.parquet", "--save-fusion", "FIRST"], "--save-fusion"),
        (["--compare", "other.parquet", "--out", "other.parquet"], "--out other.parquet is a file that is read"),
        (["FIRST"], "given twice:"),
        (["--body-weight", "-1"], "Invalid value for '--body-weight'"),
        (["--joint", "--body-weight", "1"], "--joint is --body-weight 1: give one of them."),
        (["--space", "log"], "Invalid value for '--space'"),
        (["--bootstrap", "1"], "--bootstrap 1: one resample has no interval; give 2 or more, or 0 for none."),
        (["--out", "y.zip", "--json", "y.zip"], "--json and --out are one file, y.zip: name one each."),
        (["--submission", "y.zip", "--json", "deep/../y.zip"], "--submission and --json are one file, y.zip"),
        (["--plots", "y", "--out", "y"], "--plots and --out are one file, y: name one each."),
    ],
)
def test_wrong_usage_exits_with_2(files: list[str], options: list[str], message: str) -> None:
    outcome = run(*files, *(files[0] if option == "FIRST" else option for option in options))
    assert outcome.exit_code == 2
    assert message in outcome.output


OPTIONS = ["--json", "--plots", "--out", "--confusion", "--predictions", "--submission"]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_place_that_cannot_be_written_is_named(files: list[str], option: str) -> None:
    place = f"{files[0]}/deeper{SUFFIXES.get(option, '')}"
    assert fails(PcanError, *files, option, place).startswith(f"{place}: cannot be written (")
