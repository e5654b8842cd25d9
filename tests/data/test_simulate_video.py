"""Drawn people: what a video holds, and what is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pcan_pose.data.simulate import SimulationConfig, clean_clips, simulate
from pcan_pose.data.simulate_files import render_simulation, write_simulation
from pcan_pose.data.simulate_video import draw_frames, render_clip
from pcan_pose.errors import DataError, MissingDependencyError
from pcan_pose.keypoints import Clip, read_set

CONFIG = SimulationConfig(clips=3, seed=4)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return clean_clips(CONFIG, [1]).clip(0)


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_video_has_the_clips_frames_and_size(clip: Clip, tmp_path: Path) -> None:
    render_clip(clip, tmp_path / "new" / "a.mp4", height=64)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]
    with av.open(str(tmp_path / "new" / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == 30
    assert decode(tmp_path / "new" / "a.mp4").shape == (clip.keypoints.shape[1], 64, 54, 3)


def test_frames_show_the_person_where_the_joints_are(clip: Clip) -> None:
    drawn = next(draw_frames(clip, height=128)).astype(int)
    empty = next(draw_frames(replace(clip, scores=np.zeros_like(clip.scores)), height=128)).astype(int)
    changed = np.abs(drawn - empty).sum(-1) > 30
    joints = clip.keypoints[0, 0, :, :2] * 128 / 1296
    columns, rows = joints.round().astype(int).T
    assert changed[rows, columns].mean() > 0.9
    assert 0.03 < changed.mean() < 0.5


def test_frames_move_and_repeat_exactly(clip: Clip) -> None:
    frames = np.stack(list(draw_frames(clip, height=64)))
    np.testing.assert_array_equal(frames, np.stack(list(draw_frames(clip, height=64))))
    assert np.ptp(frames, axis=0).max() > 20


def test_clothes_follow_the_subject_and_the_room_its_seed(clip: Clip) -> None:
    first, second = (next(draw_frames(replace(clip, subject=name), height=64)) for name in ("s000", "s001"))
    assert (first != second).any()
    corner = [next(draw_frames(clip, height=64, background_seed=seed))[:4, :4] for seed in (1, 2)]
    assert (corner[0] != corner[1]).any()


def test_noisy_clips_with_missing_joints_can_be_drawn() -> None:
    noisy = simulate(CONFIG).clip(0)
    assert len(list(draw_frames(noisy, height=32))) == noisy.keypoints.shape[1]


def test_all_faults_of_a_clip_come_together(clip: Clip, tmp_path: Path) -> None:
    bad = replace(clip, clip_id="x", fps=None, width=None, keypoints=clip.keypoints[:, :, :17])
    with pytest.raises(DataError) as caught:
        render_clip(bad, tmp_path / "a.mp4", height=33)
    assert str(caught.value).splitlines() == [
        "clip 'x': width is unknown, and a video needs it.",
        "clip 'x': fps is unknown, and a video needs it.",
        "clip 'x': 17 joints, expected the 28 of layout 'openpose28'.",
        "video height 33: expected an even number of at least 32.",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("module", "name"), [("av", "PyAV"), ("PIL", "Pillow")])
def test_a_missing_package_names_its_install(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=f"rendering needs {name}: pip install"):
        render_clip(clip, tmp_path / "a.mp4", height=64)
    assert not list(tmp_path.iterdir())


def test_a_written_simulation_is_the_simulation(tmp_path: Path) -> None:
    config = SimulationConfig(clips=1030)
    seen: list[int] = []
    write_simulation(config, tmp_path / "set", seen.append)
    assert seen == [1024, 6]
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["part-00000.parquet", "part-00001.parquet"]
    read, made = read_set(tmp_path / "set"), simulate(config)
    assert read.header == made.header
    assert read.clip_ids == made.clip_ids
    np.testing.assert_array_equal(read.keypoints, made.keypoints)


@pytest.mark.parametrize("workers", [1, 2])
def test_videos_do_not_depend_on_the_workers(tmp_path: Path, workers: int) -> None:
    seen: list[int] = []
    render_simulation(CONFIG, tmp_path / "videos", height=32, workers=workers, advance=seen.append)
    assert sum(seen) == 3
    paths = sorted((tmp_path / "videos").iterdir())
    assert [path.name for path in paths] == ["sim_000000.mp4", "sim_000001.mp4", "sim_000002.mp4"]
    render_clip(clean_clips(CONFIG).clip(2), tmp_path / "one.mp4", height=32)
    assert (tmp_path / "one.mp4").read_bytes() == paths[2].read_bytes()


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="set: already exists; name another folder, or delete it first"):
        write_simulation(CONFIG, tmp_path / "set")


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="video height 31"):
        render_simulation(CONFIG, tmp_path / "videos", height=31)
    assert not list(tmp_path.iterdir())
