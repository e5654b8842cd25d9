"""Clips read from disk into memory are those of a set that was in memory as a whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_mapped_dataset import mixed_set

from pcan_pose.config import DataConfig
from pcan_pose.data import set_reader
from pcan_pose.data.clip_index import read_index
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.errors import DataError
from pcan_pose.keypoints import write_set


@pytest.mark.parametrize("clips_at_once", [1, 2, 64])
@pytest.mark.parametrize("chosen", [range(23), [20, 3, 4, 0, 11], [7]])
@pytest.mark.parametrize("changes", [{}, {"persons": 2, "centre": "frame"}, {"persons": 4, "scale": "axes"}])
def test_clips_read_from_disk_are_those_of_the_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips_at_once: int, chosen: Any, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(set_reader, "_CLIPS_AT_ONCE", clips_at_once)
    whole, path = mixed_set(), tmp_path / "set"
    write_set(path, whole, clips_per_shard=5)
    data = DataConfig(path=path, **changes)
    read = PoseDataset.from_index(read_index(path).select(np.array(chosen)), data)
    expected = PoseDataset.from_set(whole.select(chosen), data)
    assert read.clip_ids == expected.clip_ids and len(read) == len(chosen)
    assert (read.skeleton, read.persons, read.dims) == (expected.skeleton, expected.persons, expected.dims)
    for name in ("keypoints", "scores", "starts", "frames", "num_persons", "labels"):
        one, other = getattr(read, name), getattr(expected, name)
        assert one.dtype == other.dtype and torch.equal(one, other), name


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "set"
    write_set(path, mixed_set(), clips_per_shard=5)
    index, shard = read_index(path), path / "part-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"part-00001\.parquet: not a readable Parquet file"):
        PoseDataset.from_index(index, DataConfig(path=path))
