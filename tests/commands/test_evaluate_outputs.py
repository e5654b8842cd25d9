"""The files that `evaluate` writes: what they never replace, and what is there when pictures fail."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluate_runs import fails, run

from pcan_pose.errors import DataError, ScoreError
from pcan_pose.scores import ScoreSet, read_scores, write_scores
from pcan_pose.taxonomy import MA52, Taxonomy

CLIPS = 10


def scores(seed: int, taxonomy: Taxonomy = MA52) -> ScoreSet:
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(0).integers(0, 52, CLIPS)
    ids = [f"clip{i:02d}" for i in range(CLIPS)]
    logits = rng.standard_normal((CLIPS, 52)), rng.standard_normal((CLIPS, 7))
    return ScoreSet(ids, labels, *logits, taxonomy, f"s{seed}", "m")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [str(write_scores(tmp_path / f"{seed}.parquet", scores(seed))) for seed in (1, 2)]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a score file fails the test: the places to write are looked at before."""
    monkeypatch.setattr("pcan_pose.scores.read_scores", lambda path: pytest.fail(f"{path} was read"))


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("place", [".", "/", "FOLDER"])
def test_a_folder_is_named_before_the_work(files: list[str], tmp_path: Path, place: str) -> None:
    (tmp_path / "folder.zip").mkdir()
    place = place.replace("FOLDER", str(tmp_path / "folder.zip"))
    options = ["--out", "--json", *(["--submission"] if place.endswith(".zip") else [])]
    for option in options:
        told = f"{place}: cannot be written (it is a folder); name a file in it."
        assert fails(ScoreError, *files, option, place) == told


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        ("--out", "last.pt", "is no score file, so it is not replaced; name another file."),
        ("--json", "last.pt", "is no file of --json; name another file."),
        ("--json", "other.parquet", "is no file of --json; name another file."),
        ("--confusion", "list.csv", "is no file of --confusion; name another file."),
        ("--predictions", "list.csv", "is no file of --predictions; name another file."),
        ("--submission", "text.zip", "is no file of --submission; name another file."),
    ],
)
def test_files_of_another_kind_stay(files: list[str], tmp_path: Path, option: str, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1 weights")
    assert fails(ScoreError, *files, option, tmp_path / name) == f"{tmp_path / name}: already exists and {told}"
    assert (tmp_path / name).read_bytes() == b"PAR1 weights"


def test_the_faults_of_all_places_come_at_once(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("weights")
    text = fails(ScoreError, *files, "--out", tmp_path / "a.pt", "--json", tmp_path, "--plots", files[0] + "x")
    assert [line.split(":")[0] for line in text.splitlines()] == [str(tmp_path / "a.pt"), str(tmp_path)]
    (tmp_path / "plots").touch()
    told = f"{tmp_path / 'plots'}: cannot be written (it is a file); name a folder."
    assert fails(ScoreError, *files, "--plots", tmp_path / "plots") == told


def test_what_the_command_wrote_is_replaced(files: list[str], tmp_path: Path) -> None:
    places = {"--out": "o.parquet", "--json": "r.json", "--confusion": "c.csv", "--predictions": "p.csv"}
    options = [part for option, name in places.items() for part in (option, tmp_path / name)]
    (tmp_path / "r.json").touch()
    for number in (0, 1):
        outcome = run(files[number], *options)
        assert outcome.exit_code == 0, outcome.output
    assert read_scores(tmp_path / "o.parquet").stream == "s2"
    assert json.loads((tmp_path / "r.json").read_text())["rows"][0]["scores"] == files[1]


def test_data_files_are_there_when_pictures_fail(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pcan_pose.report.plot_evaluation", fail)
    clips = tmp_path / "list.txt"
    clips.write_text("".join(f"clip{i:02d}.mp4\n" for i in range(CLIPS)))
    out, zipped, plots = tmp_path / "o.parquet", tmp_path / "s.zip", tmp_path / "plots"
    told = fails(DataError, files[0], "--out", out, "--submission", zipped, "--clip-list", clips, "--plots", plots)
    assert told == f"{plots}: cannot be written (No space left on device)."
    assert out.is_file() and zipped.is_file()


def test_dollars_in_names_are_drawn(tmp_path: Path) -> None:
    """matplotlib takes what is between two of them as a formula."""
    tree = Taxonomy("t", ("a$_{$", *MA52.actions[1:]), ("b$^$", *MA52.body_parts[1:]), MA52.parents)
    file = write_scores(tmp_path / "s $_$.parquet", scores(1, taxonomy=tree))
    outcome = run(file, "--plots", tmp_path / "plots")
    assert outcome.exit_code == 0, outcome.exception
    assert len(list((tmp_path / "plots").iterdir())) == 3


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("labelled", [True, False])
def test_predictions_are_a_table_of_names(tmp_path: Path, labelled: bool) -> None:
    of = scores(1)
    if not labelled:
        of = replace(of, labels=np.full(CLIPS, -1))
    write_scores(tmp_path / "s.parquet", of)
    outcome = run(tmp_path / "s.parquet", "--predictions", tmp_path / "p.csv", "--bootstrap", 0)
    assert outcome.exit_code == 0, outcome.output
    assert ("nothing was measured" in outcome.output) is not labelled
    with (tmp_path / "p.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["clip_id", "label", "action", "probability", "body_part", "body_part_probability"]
    assert [row["clip_id"] for row in rows] == list(of.clip_ids)
    assert [row["label"] for row in rows] == [MA52.actions[label] if labelled else "" for label in of.labels.tolist()]
    actions, parts = softmax(of.action_logits), softmax(of.body_logits)
    assert [row["action"] for row in rows] == [MA52.actions[best] for best in actions.argmax(1)]
    assert [row["body_part"] for row in rows] == [MA52.body_parts[best] for best in parts.argmax(1)]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], actions.max(1), atol=5.1e-5)
    np.testing.assert_allclose([float(row["body_part_probability"]) for row in rows], parts.max(1), atol=5.1e-5)


def test_predictions_are_those_of_the_fused_scores(files: list[str], tmp_path: Path) -> None:
    assert run(*files, "--weights", "0,1", "--predictions", tmp_path / "fused.csv", "--bootstrap", 0).exit_code == 0
    assert run(files[1], "--predictions", tmp_path / "second.csv", "--bootstrap", 0).exit_code == 0
    assert (tmp_path / "fused.csv").read_text() == (tmp_path / "second.csv").read_text()
