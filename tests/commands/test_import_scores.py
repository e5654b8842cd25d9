"""`data import-scores` turns a dumped pickle into a score file that `evaluate` fuses by clip id."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pcan_pose.commands.data import data
from pcan_pose.errors import DataError, PcanError, ScoreError, TaxonomyError
from pcan_pose.scores import read_scores


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, ["import-scores", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    rows = np.random.default_rng(0).dirichlet(np.ones(52), 3)
    content = [{"pred_scores": {"rgb": row, "pose": row[::-1].copy()}} for row in rows]
    (tmp_path / "result.pkl").write_bytes(pickle.dumps(content))
    (tmp_path / "val_list.txt").write_text("0001_01_0001.mp4 9\n0001_01_0002.mp4 8\n0001_01_0003.mp4 51\n")
    return [tmp_path / "result.pkl", tmp_path / "val_list.txt", tmp_path / "new" / "rgb.parquet"]


def test_the_score_file_is_written_and_described(files: list[Path]) -> None:
    source, clips, out = files
    outcome = run(source, "--clip-list", clips, "--branch", "rgb", "--out", out, "--prefix", "val/", "--model", "pcan")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output == (
        f"{out}: 3 clips, 3 with a label, scores of pcan/rgb\n"
        "read as probabilities; body parts: summed from the actions\n"
    )
    scores = read_scores(out)
    assert scores.clip_ids == ("val/0001_01_0001", "val/0001_01_0002", "val/0001_01_0003")
    assert scores.labels.tolist() == [9, 8, 51]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ([], ScoreError, "holds the branches rgb, pose: choose one"),
        (
            ["--branch", "rgb", "--taxonomy", "none.yaml"],
            TaxonomyError,
            "'none.yaml': neither ma52 nor a file",
        ),
        (["--branch", "rgb", "--clip-list", "none.txt"], DataError, "none.txt: cannot be read"),
    ],
)
def test_faults_are_named(files: list[Path], options: list[str], error: type[PcanError], message: str) -> None:
    source, clips, out = files
    outcome = run(source, "--clip-list", clips, "--out", out, *options)
    assert isinstance(outcome.exception, error)
    assert message in str(outcome.exception)
    assert not out.exists()


def test_a_pickle_in_the_place_of_a_score_file_is_sent_here(files: list[Path]) -> None:
    with pytest.raises(ScoreError, match="Scores in a pickle come in with pcan-pose data import-scores"):
        read_scores(files[0])


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_read_is_never_written(files: list[Path], which: int) -> None:
    before = files[which].read_bytes()
    place = files[which].parent / "new" / ".." / files[which].name
    outcome = run(files[0], "--clip-list", files[1], "--branch", "rgb", "--out", place)
    assert outcome.exit_code == 2
    assert f"--out {place} is a file that is read; name another." in outcome.output.replace("\n", " ")
    assert files[which].read_bytes() == before


def test_the_place_is_looked_at_before_the_pickle(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_text("weights")
    for place, told in (
        (".", ".: cannot be written (it is a folder); name a file in it."),
        (tmp_path / "last.pt", f"{tmp_path / 'last.pt'}: already exists and is no score file"),
    ):
        outcome = run(tmp_path / "none.pkl", "--clip-list", files[1], "--out", place)
        assert isinstance(outcome.exception, ScoreError)
        assert str(outcome.exception).startswith(told)
    assert (tmp_path / "last.pt").read_text() == "weights"
