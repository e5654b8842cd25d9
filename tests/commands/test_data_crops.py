"""The command `data crops`, on rendered videos."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pcan_extract import crop_run
from pcan_extract.cropping import cut_out
from pcan_pose.cli import main
from pcan_pose.crop_cache import CropCache, CropSettings, read_shards
from pcan_pose.data.simulate import SimulationConfig, clean_clips
from pcan_pose.data.simulate_video import draw_frames, render_clip
from pcan_pose.keypoints import KeypointSet, write_set

CONFIG = SimulationConfig(clips=3, seed=1, fps=6)


class Alone:
    """Workers in this process."""

    def __init__(self, function, count, initializer, arguments) -> None:
        self._function = function
        initializer(*arguments)

    def run(self, tasks):
        return ((task, self._function(task)) for task in tasks)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crop_run, "Workers", Alone)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a keypoint set and its videos, in two splits."""
    folder = tmp_path_factory.mktemp("simulated")
    made = clean_clips(CONFIG)
    clips = [
        replace(clip, keypoints=clip.keypoints[..., :2], splits=("train" if i else "val",))
        for i, clip in enumerate(made.clips())
    ]
    write_set(folder / "set", KeypointSet.from_clips(replace(made.header, dims=2), clips))
    for clip in made.clips():
        render_clip(clip, folder / f"videos/{clip.clip_id}.mp4", height=128)
    return folder


def run(folder: Path, *arguments: object) -> Result:
    given = [folder / "set", "--videos", folder / "videos", "--size", 32, "--workers", 1, *arguments]
    return CliRunner().invoke(main, ["data", "crops", *map(str, given)])


def test_people_are_in_the_crops(simulated: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    result = run(simulated, "--out", out, "--frames", 4, "--margin", 0)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: 3 clips (3 new), 32x32 pixels\n"
    assert result.stderr.startswith("3 clips to crop: 36.9 kB, ")
    assert CropCache(out).settings == CropSettings(size=32, frames=4, margin=0.0)
    row = read_shards(out)[0].table.to_pylist()[2]
    clip = clean_clips(CONFIG).clip(2)
    joints = clip.keypoints[0, :, :, :2] * 128 / 1296
    left, top, side = row["box"]
    # Without a margin the joints fill the box: only frames at the edge of their range reach out of it.
    inside = ((joints >= (left - 1, top - 1)) & (joints <= (left + side + 1, top + side + 1))).all((1, 2))
    assert inside.mean() > 0.8
    assert side == pytest.approx(np.ptp(joints, axis=(0, 1)).max(), rel=0.1)
    drawn = list(draw_frames(clip, height=128))
    pictures = np.zeros((1, 4, 32, 32, 3), np.uint8)
    CropCache(out).read(np.array([2]), np.arange(4)[None], pictures)
    for picture, position in zip(pictures[0], row["positions"], strict=True):
        assert np.abs(picture - cut_out(drawn[position], (left, top, side), 32).astype(int)).mean() < 5


def test_a_split_and_all_frames(simulated: Path, tmp_path: Path) -> None:
    assert run(simulated, "--out", tmp_path / "crops", "--frames", "all", "--split", "train").exit_code == 0
    cache = CropCache(tmp_path / "crops")
    assert cache.clip_ids == ["sim_000001", "sim_000002"]
    assert cache.frames.tolist() == clean_clips(CONFIG).frames[1:].tolist()
    assert run(simulated, "--out", tmp_path / "crops", "--frames", "all").stdout.startswith(
        f"{tmp_path}/crops: 3 clips (1 new), "
    )


def test_failures_are_named(simulated: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "sim_000000.mp4").write_bytes(b"")
    (videos / "sim_000001.mp4").write_bytes((simulated / "videos/sim_000001.mp4").read_bytes())
    result = run(simulated, "--out", tmp_path / "crops", "--videos", videos, "--json-report")
    assert result.exit_code == 3
    assert f"failed: {videos}/sim_000000.mp4: empty file (0 bytes); replace the file.\n" in result.stderr
    assert "failed: sim_000002: no video of this name was found; " in result.stderr
    figures = json.loads(result.stdout)
    assert (figures["clips"], figures["added"], list(figures["failures"])) == (1, 1, ["sim_000000", "sim_000002"])


def test_another_number_of_frames_is_told(simulated: Path, tmp_path: Path) -> None:
    clips = [
        replace(clip, keypoints=clip.keypoints[:, :5, :, :2], scores=clip.scores[:, :5])
        for clip in clean_clips(CONFIG).clips()
    ]
    write_set(tmp_path / "set", KeypointSet.from_clips(replace(clean_clips(CONFIG).header, dims=2), clips))
    (tmp_path / "videos").symlink_to(simulated / "videos")
    result = run(tmp_path, "--out", tmp_path / "crops")
    assert result.exit_code == 0
    assert result.stderr.endswith(
        "3 videos have another number of frames than their keypoints: sim_000000, sim_000001, sim_000002.\n"
    )


def test_a_stop_is_told(simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(crop_run, "build_crops", interrupted)
    result = run(simulated, "--out", tmp_path / "crops")
    assert result.exit_code == 130
    assert result.stderr == (
        f"stopped; finished shards are kept in {tmp_path}/crops: run the same command again to go on.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Missing option '--out'"),
        (("--out", "crops", "--frames", "few"), "'few' is neither a number of at least 1 nor all."),
        (("--out", "crops", "--frames", "0"), "'0' is neither a number of at least 1 nor all."),
        (("--out", "crops", "--margin", "-1"), "-1.0 is not in the range x>=0"),
        (("--out", "crops", "--videos", "nowhere"), "Directory 'nowhere' does not exist"),
    ],
)
def test_usage(simulated: Path, arguments: tuple[str, ...], text: str) -> None:
    result = run(simulated, *arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, pcan_pose.commands.data_crops; print([m for m in ('numpy', 'torch', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
