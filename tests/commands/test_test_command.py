"""`test` looks at the place of its score file before it scores anything."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pcan_pose.cli import main
from pcan_pose.errors import ConfigError


@pytest.fixture(autouse=True)
def _unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcan_pose.engine.test.test_run", lambda *_, **__: pytest.fail("scored before"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("last.pt", "already exists and is no score file, so it is not replaced; name another file."),
        ("folder", "cannot be written (it is a folder); name a file in it."),
        ("last.pt/scores.parquet", "last.pt is a file, not a folder); name another place."),
    ],
)
def test_no_checkpoint_and_no_folder_is_replaced(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "last.pt").write_text("weights")
    (tmp_path / "folder").mkdir()
    result = CliRunner().invoke(main, ["test", str(tmp_path), "--split", "test", "--out", str(tmp_path / name)])
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith(f"error: {tmp_path / name}: ")
    assert told in result.stderr
    assert (tmp_path / "last.pt").read_text() == "weights"


def test_several_members_are_asked_for_by_repeating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def ask(run: Path, split: str | None, **options: object) -> None:
        asked.update(options)
        raise ConfigError("enough")

    monkeypatch.setattr("pcan_pose.engine.test.test_run", ask)
    out = str(tmp_path / "scores.parquet")
    result = CliRunner().invoke(main, ["test", "run", "--member", "1", "--member", "3", "--out", out])
    assert result.stderr == "error: enough\n"
    assert asked["members"] == (1, 3)


def test_a_weight_of_no_neighbours_is_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "scores.parquet")
    result = CliRunner().invoke(main, ["test", "run", "--neighbour-weight", "0.9", "--out", out])
    assert result.exit_code == 2
    assert "--neighbour-weight without --neighbours does nothing" in result.stderr
