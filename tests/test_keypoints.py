import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_sets import TREE, assert_equal_sets, clip, header, small_set

from pcan_pose import keypoints as storage
from pcan_pose.errors import DataError, SkeletonError
from pcan_pose.keypoints import (
    Header,
    KeypointSet,
    read_header,
    read_set,
    shard_name,
    shard_paths,
    write_set,
    write_shard,
)
from pcan_pose.taxonomy import MA52


def flat() -> KeypointSet:
    """2-D clips of one and of several persons, and one with nothing known."""
    return small_set(
        clip("a", frames=5, splits=("train", "x"), label=2, subject="s1", fps=29.97, source="a.mp4"),
        clip("b", persons=3, frames=2, splits=("val",), label=0, subject="s2"),
        clip("päth/c", frames=1, width=None, height=None),
        licence="CC0",
    )


def solid() -> KeypointSet:
    """3-D clips."""
    clips = (clip(name, layout="kinect20", dims=3, persons=2, frames=4, label=1) for name in "abc")
    return small_set(*clips, layout="kinect20", dims=3)


def error_of(path: Path, **options: bool) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        read_set(path, **options)
    return caught.value.faults


@pytest.mark.parametrize("make", [flat, solid])
@pytest.mark.parametrize("clips_per_shard", [1, 2, 100])
def test_round_trip(tmp_path: Path, make: object, clips_per_shard: int) -> None:
    original = make()
    write_set(tmp_path / "set", original, clips_per_shard=clips_per_shard)
    assert_equal_sets(read_set(tmp_path / "set"), original)
    assert read_header(tmp_path / "set") == original.header
    shards = shard_paths(tmp_path / "set")
    assert len(shards) == -(-len(original) // clips_per_shard)
    assert_equal_sets(read_set(shards[0]), original.select(range(min(clips_per_shard, len(original)))))


def test_an_empty_set_round_trips(tmp_path: Path) -> None:
    write_set(tmp_path / "set", small_set(taxonomy=None))
    assert_equal_sets(read_set(tmp_path / "set"), small_set(taxonomy=None))


def test_clips_without_frames_round_trip(tmp_path: Path) -> None:
    original = small_set(clip("a", frames=0), clip("b"), clip("c", persons=0))
    write_set(tmp_path / "set", original)
    assert_equal_sets(read_set(tmp_path / "set"), original)
    assert read_set(tmp_path / "set").clip(2).keypoints.shape == (0, 3, 17, 2)


def test_a_clip_comes_back_as_it_was() -> None:
    original = clip("b", persons=3, frames=2, splits=("val",), label=0, subject="s", fps=25.0, source="b.mp4")
    got = small_set(clip("a"), original).clip(1)
    np.testing.assert_array_equal(got.keypoints, original.keypoints)
    np.testing.assert_array_equal(got.scores, original.scores)
    for name in ("clip_id", "splits", "label", "subject", "fps", "width", "height", "source"):
        assert getattr(got, name) == getattr(original, name), name
    unknown = small_set(clip("c", width=None, height=None)).clip(0)
    assert (unknown.label, unknown.subject, unknown.fps, unknown.width, unknown.height) == (None,) * 5


def test_rows_are_person_after_person() -> None:
    original = clip("a", persons=2, frames=3)
    np.testing.assert_array_equal(small_set(original).keypoints[3:6], original.keypoints[1])


def test_select_equals_the_set_of_those_clips() -> None:
    clips = [clip(name, persons=1 + i % 2, frames=1 + i, label=i % 3, splits=("s",)) for i, name in enumerate("abcde")]
    order = [3, 0, 0, 4]
    assert_equal_sets(small_set(*clips).select(order), small_set(*(clips[i] for i in order)))
    assert len(small_set(*clips).select([])) == 0


def test_splits() -> None:
    keypoint_set = small_set(clip("a", splits=("train",)), clip("b", splits=("val", "train")), clip("c"))
    assert keypoint_set.split_names() == ["train", "val"]
    np.testing.assert_array_equal(keypoint_set.in_split("train"), [0, 1])
    with pytest.raises(DataError, match=r"^no clip is in split 'test'; the set has train, val\.$"):
        keypoint_set.in_split("test")
    with pytest.raises(DataError, match=r"the set has no splits\.$"):
        keypoint_set.select([2]).in_split("test")
    assert keypoint_set.with_splits([(), ("z",), ()]).split_names() == ["z"]


def test_clips_of_another_shape_are_all_named() -> None:
    wrong = [clip("a", layout="kinect20"), clip("b"), replace(clip("c"), scores=np.ones((1, 3, 16), np.float32))]
    with pytest.raises(DataError) as caught:
        small_set(*wrong)
    needs = "layout 'coco17' needs (M, T, 17, 2) and (M, T, 17)."
    assert caught.value.faults == (
        f"clip 'a': keypoints (1, 3, 20, 2) and scores (1, 3, 20); {needs}",
        f"clip 'c': keypoints (1, 3, 17, 2) and scores (1, 3, 16); {needs}",
    )


def test_equal_sets_have_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_set(tmp_path / name, flat(), clips_per_shard=2)
    one, two = ([shard.read_bytes() for shard in shard_paths(tmp_path / name)] for name in ("one", "two"))
    assert one == two
    # A shard's bytes do not depend on the set that its clips were taken from.
    write_shard(tmp_path / "alone.parquet", small_set(flat().clip(2), licence="CC0"))
    assert (tmp_path / "alone.parquet").read_bytes() == one[1]


def test_other_tools_can_read_it(tmp_path: Path) -> None:
    write_set(tmp_path / "set", flat())
    table = pq.read_table(tmp_path / "set" / shard_name(0))
    assert table["label"].to_pylist() == [2, 0, None]
    assert table["split"].to_pylist() == [["train", "x"], ["val"], []]
    assert table["width"].to_pylist() == [100, 100, None]
    assert table["subject"].to_pylist() == ["s1", "s2", None]
    assert table.schema.metadata[b"pcan_pose.layout"] == b"coco17"


def test_an_existing_set_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    write_set(tmp_path / "set", flat(), clips_per_shard=1)
    with pytest.raises(DataError) as caught:
        write_set(tmp_path / "set", flat())
    exists = "already exists; name another folder, or allow it to be replaced with --overwrite."
    assert str(caught.value) == f"{tmp_path / 'set'}: {exists}"
    smaller = flat().select([1])
    write_set(tmp_path / "set", smaller, overwrite=True)
    assert_equal_sets(read_set(tmp_path / "set"), smaller)
    assert os.listdir(tmp_path) == ["set"]


def test_overwrite_never_removes_anything_but_a_set(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(DataError) as caught:
        write_set(tmp_path, flat(), overwrite=True)
    assert str(caught.value) == f"{tmp_path}: holds more than a keypoint set (thesis.tex); name another folder."
    with pytest.raises(DataError) as caught:
        write_set(tmp_path / "thesis.tex", flat(), overwrite=True)
    file = tmp_path / "thesis.tex"
    assert str(caught.value) == f"{file}: is a file, not a keypoint set's folder; name another folder."
    assert file.read_text() == "all of it"


def test_a_failing_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "old", flat())
    written = []

    def fail_at_the_second(table: pa.Table, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        written.append(path)
        if len(written) == 2:
            raise OSError("disk full")

    monkeypatch.setattr(storage.pq, "write_table", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        write_set(tmp_path / "new", flat(), clips_per_shard=1)
    written.clear()
    with pytest.raises(OSError, match="disk full"):
        write_set(tmp_path / "old", flat(), clips_per_shard=1, overwrite=True)
    written[:] = [Path()]
    with pytest.raises(OSError, match="disk full"):
        write_shard(tmp_path / "shard.parquet", flat())
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["old"]
    assert_equal_sets(read_set(tmp_path / "old"), flat())


def test_nothing_there(tmp_path: Path) -> None:
    no_set = "no keypoint set there; make one with 'pcan-pose extract' or 'pcan-pose data import'."
    assert error_of(tmp_path / "none") == (f"{tmp_path / 'none'}: {no_set}",)
    no_shard = "the folder holds no part-*.parquet; is it a keypoint set whose extraction has finished?"
    assert error_of(tmp_path) == (f"{tmp_path}: {no_shard}",)


def test_all_broken_shards_are_named(tmp_path: Path) -> None:
    write_set(tmp_path / "set", flat(), clips_per_shard=1)
    first, second, third = shard_paths(tmp_path / "set")
    first.write_bytes(first.read_bytes()[:-100])
    second.write_bytes(b"not parquet at all")
    pq.write_table(pa.table({"a": [1]}), third)
    faults = error_of(tmp_path / "set")
    assert len(faults) == 3
    assert faults[0].startswith(f"{first}: not a readable Parquet file (")
    assert faults[1].startswith(f"{second}: not a readable Parquet file (")
    assert faults[0].endswith("; delete the shard and make it again.")
    assert faults[2] == f"{third}: not a keypoint shard; make keypoint sets with 'pcan-pose data import' or 'extract'."
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_header(tmp_path / "set")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema_version", "7", "schema version 7, this release reads 1; upgrade pcan-pose."),
        ("dims", "x", "keypoints in x dimensions, expected 2 or 3; make the set again."),
    ],
)
def test_foreign_metadata(tmp_path: Path, key: str, value: str, message: str) -> None:
    table = flat().to_table()
    changed = {**table.schema.metadata, f"pcan_pose.{key}".encode(): value.encode(), b"other": b"\xff"}
    pq.write_table(table.replace_schema_metadata(changed), tmp_path / shard_name(0))
    assert error_of(tmp_path) == (f"{tmp_path / shard_name(0)}: {message}",)


def test_an_unknown_layout_in_a_file(tmp_path: Path) -> None:
    table = flat().to_table()
    changed = {**table.schema.metadata, b"pcan_pose.layout": b"coco71"}
    pq.write_table(table.replace_schema_metadata(changed), tmp_path / shard_name(0))
    with pytest.raises(SkeletonError, match=r"unknown layout 'coco71'\. Did you mean 'coco17'\?"):
        read_set(tmp_path)


def test_columns_that_are_missing_or_wrong(tmp_path: Path) -> None:
    table = flat().to_table()
    pq.write_table(table.drop_columns(["subject", "fps"]), tmp_path / "a.parquet")
    missing = "columns subject, fps are missing; extract or import the set again."
    assert error_of(tmp_path / "a.parquet") == (f"{tmp_path / 'a.parquet'}: {missing}",)

    words = pa.array(["many", "few", "some"])
    pq.write_table(table.set_column(table.column_names.index("frames"), "frames", words), tmp_path / "b.parquet")
    (fault,) = error_of(tmp_path / "b.parquet")
    assert fault.startswith(f"{tmp_path / 'b.parquet'}: columns of other types (")

    frames = pa.array([5, 7, None], pa.int32())
    pq.write_table(table.set_column(table.column_names.index("frames"), "frames", frames), tmp_path / "c.parquet")
    assert error_of(tmp_path / "c.parquet") == tuple(
        f"{tmp_path / 'c.parquet'}: clip {name!r} has {values} values in keypoints, expected {persons} persons x "
        f"{frames} frames x 34; extract or import it again."
        for name, values, persons, frames in (("b", 204, 3, 7), ("päth/c", 34, 1, -1))
    )


def test_shards_that_disagree(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name(0), small_set(clip("a")))
    write_shard(tmp_path / shard_name(1), small_set(clip("b", layout="kinect20"), layout="kinect20", taxonomy=None))
    shard = tmp_path / shard_name(1)
    assert error_of(tmp_path) == (
        f"{shard}: layout, taxonomy differ from the first shard's; keep them in separate sets.",
    )


def test_clip_ids_are_unique(tmp_path: Path) -> None:
    write_shard(tmp_path / shard_name(0), small_set(clip("a"), clip("b")))
    write_shard(tmp_path / shard_name(1), small_set(clip("b"), clip("a"), clip("c")))
    assert error_of(tmp_path) == tuple(f"{tmp_path}: clip id {i!r} comes 2 times; ids must be unique." for i in "ab")
    assert read_set(tmp_path, unique=False).clip_ids == ["a", "b", "b", "a", "c"]


def test_headers_travel_as_metadata() -> None:
    for one in (
        header(),
        Header("openpose28", 2, "x 1", MA52, {"licence": "CC BY", "a.b": "c"}),
        header(taxonomy=None),
    ):
        metadata = {key.encode(): value.encode() for key, value in one.to_metadata().items()}
        assert Header.from_metadata(metadata, "here") == one
    assert header().taxonomy == TREE
