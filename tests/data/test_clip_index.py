from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_sets import clip, header, small_set

from pcan_pose.data.clip_index import read_index
from pcan_pose.errors import DataError
from pcan_pose.keypoints import read_set, write_set, write_shard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a set of three shards."""
    clips = [
        clip("a", persons=2, splits=("train", "x"), label=2, subject="s1", source="a.mp4"),
        clip("b", frames=0, splits=("val",)),
        clip("c", splits=("train",), label=1, fps=25.0),
    ]
    write_set(tmp_path / "set", small_set(*clips, licence="CC0"), clips_per_shard=1)
    return tmp_path / "set"


def test_it_knows_everything_but_the_keypoints(path: Path) -> None:
    whole, index = read_set(path), read_index(path)
    assert len(index) == 3 and index.header == whole.header and index.clip_ids == whole.clip_ids
    assert index.split_names() == whole.split_names()
    np.testing.assert_array_equal(index.labels, whole.labels)
    for name in ("splits", "subjects", "sources"):
        assert getattr(index.clips, name) == getattr(whole, name)
    np.testing.assert_array_equal(index.clips.frames, whole.frames)
    assert index.clips.keypoints.shape == (0, 17, 2) and index.clips.persons.tolist() == [0, 0, 0]


def test_selections_know_their_place_in_the_set(path: Path) -> None:
    index = read_index(path)
    train = index.select(index.in_split("train"))
    assert (train.clip_ids, train.places.tolist(), train.labels.tolist()) == (["a", "c"], [0, 2], [2, 1])
    last = train.select([1])
    assert (last.clip_ids, last.places.tolist(), last.path) == (["c"], [2], path)
    with pytest.raises(DataError, match=r"no clip is in split 'test'; the set has train, val, x\."):
        index.in_split("test")


def test_keypoints_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, columns = pq.read_table, []
    monkeypatch.setattr(
        "pcan_pose.keypoints.pq.read_table",
        lambda *a, **options: (columns.append(options["columns"]), read(*a, **options))[1],
    )
    read_index(path)
    assert len(columns) == 3 and not {"keypoints", "scores"} & {name for names in columns for name in names}


def test_a_set_with_faults_is_refused_as_if_it_were_read_whole(path: Path) -> None:
    write_shard(
        path / "part-00003.parquet", small_set(clip("d", layout="openpose28"), layout="openpose28", licence="CC0")
    )
    table = pq.read_table(path / "part-00000.parquet")
    pq.write_table(table.drop(["scores"]), path / "part-00004.parquet")
    (path / "part-00005.parquet").write_bytes(b"PAR1")
    faults = []
    for arrays in (True, False):
        with pytest.raises(DataError) as error:
            read_set(path, arrays=arrays)
        # Arrow's own words for a damaged file differ with how it is opened.
        faults.append([fault.partition(" (")[0] for fault in error.value.faults])
    assert len(faults[0]) == 3 and faults[0] == faults[1]


def test_ids_come_once(path: Path) -> None:
    write_shard(path / "part-00003.parquet", small_set(clip("a"), licence="CC0"))
    assert header(licence="CC0") == read_set(path, unique=False).header
    with pytest.raises(DataError, match="clip id 'a' comes 2 times; ids must be unique"):
        read_index(path)
