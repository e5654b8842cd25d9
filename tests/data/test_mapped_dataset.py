import gc
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_sets import clip, header, small_set

from pcan_pose.config import DataConfig
from pcan_pose.data import mapped_dataset, pose_map_writer, set_reader
from pcan_pose.data.clip_index import read_index
from pcan_pose.data.mapped_dataset import MappedDataset
from pcan_pose.data.pose_map import open_map
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet, read_set, write_set

ROOT = Path(__file__).resolve().parents[2]
AUGMENT = {"flip": 0.5, "rotation": (5, 5, 15), "crop": (0.7, 1.0), "resampling": "random", "joint_dropout": 0.1}


def mixed_set(*, dims: int = 2, layout: str = "coco17") -> KeypointSet:
    """Return 23 clips of one to three persons and one to seven frames, a fifth of the joints missing."""
    random = np.random.default_rng(1)
    clips = []
    for i in range(23):
        persons, frames = 1 + i % 3, 1 + i % 7
        joints = header(layout=layout, dims=dims).skeleton.num_joints
        scores = random.uniform(0.1, 1, (persons, frames, joints)) * (random.random((persons, frames, joints)) > 0.2)
        split = ("val",) if i % 4 == 3 else ("train",)
        made = clip(f"c{i}", layout=layout, dims=dims, persons=persons, frames=frames, splits=split, label=i % 3)
        made.scores[:] = scores
        clips.append(made)
    return small_set(*clips, layout=layout, dims=dims)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a set of five shards."""
    write_set(tmp_path / "set", mixed_set(), clips_per_shard=5)
    return tmp_path / "set"


def config(path: Path, **changes: Any) -> DataConfig:
    return DataConfig(**{"path": path, "frames": 6, "memory": "map", "augment": AUGMENT, **changes})


def in_memory(path: Path, data: DataConfig, split: str = "train") -> PoseSource:
    whole = read_set(path)
    return PoseSource.from_set(whole.select(whole.in_split(split)), data, "cpu")


def mapped(path: Path, data: DataConfig, split: str = "train", *, copies: bool = False) -> PoseSource:
    whole = read_index(path)
    return PoseSource(MappedDataset(whole.select(whole.in_split(split)), data, copies=copies), data)


def epoch(source: PoseSource, rows: slice = slice(None)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    batches = torch.randperm(len(source), generator=generator)[:16].split(4)
    return [tensor for inputs in source.training_batches(batches, rows, generator) for tensor in inputs]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("larger", [False, True], ids=["fits", "larger than memory"])
@pytest.mark.parametrize("copies", [False, True], ids=["gathered", "copied"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"persons": 2, "centre": "frame"},
        {"persons": 4, "scale": "axes", "centre": "first_frame"},
        {"scale": "none"},
        {"short_clips": "pad", "augment": AUGMENT | {"tempo": 0.5}},
    ],
)
def test_batches_are_those_of_a_set_in_memory(
    path: Path, changes: dict[str, Any], copies: bool, larger: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if larger:
        monkeypatch.setattr(mapped_dataset, "available_bytes", lambda: 0)
    data = config(path, **changes)
    memory, disk = in_memory(path, data), mapped(path, data, copies=copies)
    assert disk.clip_ids == memory.clip_ids and torch.equal(disk.labels, memory.labels)
    assert len(disk) == len(memory) == 18 and disk.dataset.dims == 2
    assert same(epoch(disk), epoch(memory))
    assert same(epoch(disk, slice(2, 4)), epoch(memory, slice(2, 4)))
    memory, disk = in_memory(path, data, "val"), mapped(path, data, "val", copies=copies)
    one, other = (
        [t for inputs in source.scoring_batches([torch.arange(5)], 2) for t in inputs] for source in (disk, memory)
    )
    assert len(one) == 6 and same(one, other)


def test_batches_of_several_views_are_those_of_a_set_in_memory(path: Path) -> None:
    data = config(path)
    views = (data, data.model_copy(update={"frames": 9, "short_clips": "pad"}))
    memory = PoseSource(in_memory(path, data).dataset, data, views)
    for copies in (False, True):
        disk = PoseSource(mapped(path, data, copies=copies).dataset, data, views)
        assert same(epoch(disk), epoch(memory))


def test_three_dimensions_that_face_the_camera(tmp_path: Path) -> None:
    write_set(tmp_path / "set", mixed_set(dims=3, layout="kinect20"), clips_per_shard=7)
    data = config(tmp_path / "set", face_camera=True, persons=2)
    assert same(epoch(mapped(data.path, data)), epoch(in_memory(data.path, data)))


def test_a_map_is_made_once_for_each_way_to_normalise(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_map(path, config(path))
    assert first.folder.parent == path.with_name("set.map")
    assert sorted(file.name for file in first.folder.iterdir()) == [".lock", "clips.npy", "keypoints.npy", "scores.npy"]
    other = open_map(path, config(path, persons=2))
    assert other.folder != first.folder and other.starts[-1] > first.starts[-1]
    assert open_map(path, config(path, map_folder=path.parent / "maps")).folder.parent == path.parent / "maps"
    monkeypatch.setattr("pcan_pose.data.pose_map.write_map", lambda *_: pytest.fail("made again"))
    # What batches are made of in the end is not stored.
    assert open_map(path, config(path, frames=9, streams=("bone",), memory="device")).folder == first.folder


def test_a_changed_set_gets_a_new_map(path: Path) -> None:
    data = config(path)
    before = open_map(path, data).folder
    os.utime(path / "part-00003.parquet", ns=(1, 1))
    assert open_map(path, data).folder != before


@pytest.mark.parametrize("clips_at_once", [1, 2, 64])
def test_what_an_interrupted_start_left_is_finished(
    path: Path, monkeypatch: pytest.MonkeyPatch, clips_at_once: int
) -> None:
    data = config(path, persons=2)
    expected = open_map(path, data)
    kept = {file.name: file.read_bytes() for file in expected.folder.glob("*.npy")}
    shutil.rmtree(expected.folder)
    parts, read = set_reader.clip_parts, []
    monkeypatch.setattr(set_reader, "_CLIPS_AT_ONCE", clips_at_once)

    def stop_in_the_third(shard: Path) -> Any:
        read.append(shard.name)
        for number, part in enumerate(parts(shard)):
            if shard.name == "part-00002.parquet" and (number or clips_at_once == 64):
                raise KeyboardInterrupt
            yield part

    monkeypatch.setattr(pose_map_writer, "clip_parts", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        open_map(path, data)
    assert not (expected.folder / "clips.npy").exists()
    read.clear()
    monkeypatch.setattr(pose_map_writer, "clip_parts", lambda shard: (read.append(shard.name), parts(shard))[1])
    assert open_map(path, data).folder == expected.folder
    assert read == [f"part-0000{i}.parquet" for i in (2, 3, 4)]
    assert {file.name: file.read_bytes() for file in expected.folder.glob("*.npy")} == kept
    assert not (expected.folder / "progress.json").exists()


@pytest.mark.slow
def test_several_processes_make_one_map(path: Path) -> None:
    code = """
import logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO)
from pcan_pose.config import DataConfig
from pcan_pose.data.pose_map import open_map
path = Path(sys.argv[1])
print(open_map(path, DataConfig(path=path)).starts.tolist())
"""
    command = [sys.executable, "-c", code, str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] == f"{open_map(path, config(path)).starts.tolist()}\n"
    assert sum(errors.count("mapping ") for _, errors in outputs) == 1


def test_a_disk_without_room_is_noticed_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(DataError, match=r"needs 0\.0 GB more, 0\.0 GB are free; make room, or name another folder as"):
        open_map(path, config(path))


def test_a_folder_that_cannot_be_written_is_named(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory\); make room, .* data\.map_folder"):
        open_map(path, config(path, map_folder=tmp_path / "file"))


def test_a_damaged_map_is_named(path: Path) -> None:
    data = config(path)
    file = open_map(path, data).scores
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"scores\.npy: \d+ bytes of shape .*; delete the folder, and the same command"):
        mapped(path, data)


def test_a_damaged_shard_is_named(path: Path) -> None:
    shard = path / "part-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"part-00001\.parquet: not a readable Parquet file"):
        open_map(path, config(path))


def test_clips_without_frames_hurt_only_where_they_are_asked_for(tmp_path: Path) -> None:
    clips = [
        clip(name, frames=frames, splits=(split,))
        for name, frames, split in (("a", 0, "val"), ("b", 3, "train"), ("c", 0, "val"), ("d", 2, "train"))
    ]
    write_set(tmp_path / "set", small_set(*clips), clips_per_shard=1)
    data = config(tmp_path / "set")
    memory, disk = in_memory(data.path, data), mapped(data.path, data)
    batches = [torch.tensor([1, 0])]
    one, other = (
        next(iter(source.training_batches(batches, slice(None), torch.Generator().manual_seed(0))))
        for source in (memory, disk)
    )
    assert same(list(one), list(other))
    with pytest.raises(DataError) as error:
        mapped(data.path, data, "val")
    assert error.value.faults == tuple(
        f"clip '{name}' has no frame, or no person; leave it out with 'pcan-pose data select --without' ('pcan-pose "
        "data validate' lists all)."
        for name in ("a", "c")
    )


def test_of_a_larger_map_the_clips_that_come_next_are_asked_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda file, place, size, what: asked.append((place, size)))
    batches = [torch.tensor([i, i + 1]) for i in range(7)]

    def asked_by_batch() -> list[int]:
        asked.clear()
        return [len(asked) for _ in mapped(path, config(path)).dataset.at_hand(batches)]

    assert asked_by_batch() == [0] * 7
    monkeypatch.setattr(mapped_dataset, "available_bytes", lambda: 0)
    # Two clips of each batch in two files; four batches at once, then one more with each, until the last.
    assert asked_by_batch() == [20, 24, 28, 28, 28, 28, 28]
    data = config(path)
    rows = open_map(path, data)
    first = [i for i, splits in enumerate(read_set(path).splits) if "train" in splits][0]
    header = rows.keypoints.stat().st_size - int((rows.frames * rows.persons).sum()) * 17 * 2 * 4
    assert asked[0] == (header + int(rows.starts[first]) * 17 * 2 * 4, int(rows.frames[first]) * 17 * 2 * 4)


def test_an_epoch_may_be_left_early_and_files_are_closed(path: Path) -> None:
    gc.collect()  # what failed tests left
    before = len(os.listdir("/proc/self/fd"))
    source = mapped(path, config(path))
    batches = source.training_batches([torch.arange(4)] * 50, slice(None), torch.Generator())
    next(batches)
    batches.close()
    del batches, source
    assert len(os.listdir("/proc/self/fd")) == before
