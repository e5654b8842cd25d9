"""The command `simulate`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pcan_pose.commands.simulate import simulate
from pcan_pose.data.simulate import SimulationConfig
from pcan_pose.data.simulate import simulate as simulate_set
from pcan_pose.errors import DataError
from pcan_pose.keypoints import read_set


def run(*arguments: object) -> str:
    result = CliRunner().invoke(simulate, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_makes_a_set_and_videos(tmp_path: Path) -> None:
    out, videos = tmp_path / "set", tmp_path / "videos"
    text = run("--out", out, "--clips", 2, "--seed", 7, "--long-tail", "--render", videos, "--render-height", 32)
    assert text == f"{out}: 2 clips of 20 people, long tail, seed 7\n{videos}: 2 videos of 32 pixels height\n"
    made = simulate_set(SimulationConfig(clips=2, seed=7, long_tail=True))
    np.testing.assert_array_equal(read_set(out).keypoints, made.keypoints)
    assert sorted(path.name for path in videos.iterdir()) == ["sim_000000.mp4", "sim_000001.mp4"]


def test_all_faults_come_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        run("--out", tmp_path, "--render", tmp_path, "--render-height", 33)
    exists = f"{tmp_path}: already exists; name another folder, or delete it first."
    assert str(caught.value).splitlines() == [
        exists,
        exists,
        f"{tmp_path}: --out and --render name the same folder; give the videos their own.",
        "video height 33: expected an even number.",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--clips", "0"], "Invalid value for '--clips'"),
        (["--noise", "-1"], "Invalid value for '--noise'"),
        ([], "Missing option '--out'"),
    ],
)
def test_usage_errors(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(simulate, arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, pcan_pose.commands.simulate; print([m for m in ('numpy', 'torch', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
