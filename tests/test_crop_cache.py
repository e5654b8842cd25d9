"""Crops on disk: what is written is read, and half of a shard is none."""

from pathlib import Path

import numpy as np
import pytest

from pcan_pose.crop_cache import CropCache, CropRecord, CropSettings, read_shards, write_crops
from pcan_pose.errors import DataError

SETTINGS = CropSettings(size=4, frames=3)


def record(name: str, frames: int) -> CropRecord:
    positions = tuple(SETTINGS.positions(frames).tolist())
    return CropRecord(name, positions, frames, (1.5, -2.0, 30.0), 64, 48, 999)


def pictures(seed: int, frames: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SETTINGS.stored(frames), 4, 4, 3), np.uint8)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    write_crops(tmp_path, 0, SETTINGS, [record("b/1", 2), record("a", 9)], [pictures(0, 2), pictures(1, 9)], ["bad"])
    write_crops(tmp_path, 3, SETTINGS, [record("c", 3)], iter([pictures(2, 3)]))
    return tmp_path


@pytest.mark.parametrize(
    ("frames", "stored", "expected"),
    [(10, None, list(range(10))), (3, 3, [0, 1, 2]), (2, 3, [0, 1]), (9, 3, [1, 4, 7]), (100, 4, [12, 37, 62, 87])],
)
def test_stored_frames_lie_in_the_middle_of_equal_parts(frames, stored, expected) -> None:
    assert CropSettings(frames=stored).positions(frames).tolist() == expected


def test_frames_are_read_as_they_were_written(cache: Path) -> None:
    found = CropCache(cache)
    assert (found.clip_ids, found.frames.tolist(), found.settings) == (["b/1", "a", "c"], [2, 3, 3], SETTINGS)
    out = np.zeros((3, 2, 4, 4, 3), np.uint8)
    found.read(found.places(["c", "a", "b/1"]), np.array([[0, 2], [2, 2], [1, 0]]), out)
    np.testing.assert_array_equal(out[0], pictures(2, 3)[[0, 2]])
    np.testing.assert_array_equal(out[1], pictures(1, 9)[[2, 2]])
    np.testing.assert_array_equal(out[2], pictures(0, 2)[[1, 0]])
    np.testing.assert_array_equal(np.load(cache / "part-00003.npy"), pictures(2, 3))
    first, second = read_shards(cache)
    assert (first.failed, second.failed) == (("bad",), ())
    row = first.table.to_pylist()[1]
    assert row == vars(record("a", 9)) | {"positions": [1, 4, 7], "box": [1.5, -2.0, 30.0]}


def test_missing_clips_are_named(cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        CropCache(cache).places(["a", "x", *(f"y{i}" for i in range(9))])
    assert str(caught.value) == (
        f"{cache}: 10 of 11 clips have no crops: x, y0, y1, y2, y3 and 5 more; make them with 'pcan-pose data crops', "
        "or take the clips out of the split."
    )


def test_pictures_without_a_list_are_no_shard(cache: Path) -> None:
    (cache / "part-00000.parquet").unlink()
    assert CropCache(cache).clip_ids == ["c"]
    (cache / "part-00003.parquet").unlink()
    with pytest.raises(DataError, match="no crops there; make them with 'pcan-pose data crops'"):
        CropCache(cache)


def test_all_damage_is_named(cache: Path) -> None:
    path = cache / "part-00000.npy"
    path.write_bytes(path.read_bytes()[:200])
    (cache / "part-00003.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError) as caught:
        CropCache(cache)
    first, second = caught.value.faults
    assert first == (
        f"{path}: 200 bytes, but part-00000.parquet speaks of 5 pictures of 4 pixels; delete both, and the same "
        "command makes them again."
    )
    assert second.startswith(f"{cache}/part-00003.parquet: not a shard of crops (")


def test_other_settings_and_repeated_clips_are_refused(cache: Path) -> None:
    write_crops(cache, 4, SETTINGS, [record("a", 3)], [pictures(2, 3)])
    with pytest.raises(DataError, match="clips are stored twice"):
        CropCache(cache)
    write_crops(cache, 4, CropSettings(size=4, frames=2), [record("d", 3)], [pictures(2, 3)])
    with pytest.raises(DataError, match="shard 4 has .*frames=2.*, the first .*frames=3"):
        CropCache(cache)


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_crops(tmp_path, 0, SETTINGS, [record("a", 3), record("b", 3)], [pictures(0, 3)])
    assert not list(tmp_path.iterdir())
