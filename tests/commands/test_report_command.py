"""The report as a user asks for it, on tiny simulated runs; the pictures themselves are tested in tests/report."""

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

from pcan_pose.cli import main
from pcan_pose.config import load_config
from pcan_pose.data.simulate import SimulationConfig, simulate
from pcan_pose.engine.train import train
from pcan_pose.keypoints import write_set

TINY = """
name: tiny
data: {{path: {data}, val_split: val, frames: 4, streams: [joint]}}
encoder: {{widths: [8], depths: [1]}}
train: {{epochs: 1, batch_size: 52, threads: 1}}
"""
FILES = {"report.md", "embedding_map.png", "embedding_map_parts.png", "f1_action.png", "confusion_parts.png"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs tiny, other and unmeasured."""
    folder = tmp_path_factory.mktemp("runs")
    write_set(folder / "set", simulate(SimulationConfig(clips=156, subjects=3)))
    (folder / "tiny.yaml").write_text(TINY.format(data=folder / "set"))
    for name, change in (("tiny", "seed=0"), ("other", "seed=1"), ("unmeasured", "data.val_split=null")):
        train(load_config(folder / "tiny.yaml", [f"output={folder}", f"name={name}", change]))
    return folder


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: Path(path).write_text("picture"))


def report(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_report_lies_in_the_run_and_is_replaced_only_on_request(runs: Path) -> None:
    result = report(runs / "tiny", "--baseline", runs / "other")
    assert result.exit_code == 0, result.output
    out = runs / "tiny" / "report"
    assert f"wrote {out / 'report.md'}" in result.output
    assert names(out) >= FILES
    first = (out / "report.md").read_text(encoding="utf-8")
    assert "# tiny, split val" in first
    assert "| baseline other |" in first

    again = report(runs / "tiny")
    assert again.exit_code == 1
    assert "holds an earlier report; replace it with --overwrite" in again.output
    assert (out / "report.md").read_text(encoding="utf-8") == first

    assert report(runs / "tiny", "--split", "train", "--overwrite").exit_code == 0
    assert "# tiny, split train" in (out / "report.md").read_text(encoding="utf-8")
    assert not [name for name in names(runs / "tiny") if name.startswith(".")]


def test_the_split_must_be_known(runs: Path, tmp_path: Path) -> None:
    result = report(runs / "unmeasured", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "name one with --split. The set has test, train, val." in result.output
    assert not (tmp_path / "out").exists()
    assert report(runs / "unmeasured", "--out", tmp_path / "out", "--split", "test").exit_code == 0
    assert report(tmp_path / "nowhere").exit_code == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_with_other_things_is_never_touched(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    result = report(runs / "tiny", "--out", tmp_path, "--overwrite")
    assert result.exit_code == 1
    assert "holds what no report made (thesis.tex)" in result.output
    assert names(tmp_path) == {"thesis.tex"}
    result = report(runs / "tiny", "--out", tmp_path / "thesis.tex")
    assert "thesis.tex: is not a folder" in result.output


def test_a_report_that_fails_leaves_the_old_one_whole(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert report(runs / "tiny", "--out", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(figure: Figure, path: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    result = report(runs / "tiny", "--out", out, "--overwrite")
    assert result.exit_code == 1
    assert "out: cannot be written (No space left on device)" in result.output
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert names(tmp_path) == {"out"}
