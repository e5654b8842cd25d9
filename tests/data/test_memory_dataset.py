"""Clips read from disk into memory are those of a set that was in memory as a whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from test_mapped_dataset import mixed_set

from pcan_pose.config import DataConfig
from pcan_pose.data import set_reader
from pcan_pose.data.clip_index import read_index
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.errors import DataError
from pcan_pose.keypoints import write_set


@pytest.mark.parametrize("clips_at_once", [1, 2, 64])
@pytest.mark.parametrize("chosen", [range(23), [20, 3, 4, 0, 11], [7], [9, 2, 9, 9]])
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


def test_shards_without_wanted_clips_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "set", []
    write_set(path, mixed_set(), clips_per_shard=5)
    index, real = read_index(path), set_reader.pq.ParquetFile
    monkeypatch.setattr(
        set_reader.pq, "ParquetFile", lambda file, **options: (opened.append(file.name), real(file, **options))[1]
    )
    PoseDataset.from_index(index.select([11, 3]), DataConfig(path=path))
    assert opened == ["part-00000.parquet", "part-00002.parquet"]


@pytest.mark.parametrize("change", ["a shard more", "a shard less", "other clips"])
def test_a_set_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: str) -> None:
    path, shard = tmp_path / "set", tmp_path / "set" / "part-00001.parquet"
    write_set(path, mixed_set(), clips_per_shard=5)
    if change == "a shard more":
        other = shard.rename(tmp_path / "other")
    index = read_index(path)
    match change:
        case "a shard more":
            other.rename(shard)
        case "a shard less":
            shard.unlink()
        case _:
            (path / "part-00000.parquet").replace(shard)
            write_set(path, mixed_set(), clips_per_shard=5, overwrite=True)
    for data in (DataConfig(path=path), DataConfig(path=path, memory="map")):
        with pytest.raises(DataError) as caught:
            PoseSource.from_set(index, data, "cpu")
        assert str(caught.value) == (
            f"{path}: the set was changed while it was read; run again when whatever writes it has finished."
        )


def test_a_clip_whose_persons_are_unknown_is_named(tmp_path: Path) -> None:
    path = tmp_path / "set"
    write_set(path, mixed_set(), clips_per_shard=5)
    shard = path / "part-00001.parquet"
    table = pq.read_table(shard)
    place = table.schema.get_field_index("persons")
    persons = [None if i == 2 else value for i, value in enumerate(table["persons"].to_pylist())]
    field = table.schema.field(place).with_nullable(True)
    pq.write_table(table.set_column(place, field, pa.array(persons, field.type)), shard)
    with pytest.raises(DataError) as caught:
        PoseDataset.from_index(read_index(path), DataConfig(path=path))
    assert "part-00001.parquet" in str(caught.value) and table["clip_id"][2].as_py() in str(caught.value)
    assert "persons" in str(caught.value) and "no frame" not in str(caught.value)
