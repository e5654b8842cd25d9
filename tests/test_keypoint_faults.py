"""Keypoint sets that cannot be read, or hold what is no number."""

import errno
import pickle
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_sets import clip, small_set

from pcan_pose.description import describe
from pcan_pose.errors import DataError
from pcan_pose.keypoints import read_header, read_set, shard_name, shard_paths, write_set
from pcan_pose.validation import validate


def error_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        read_set(path)
    return caught.value.faults


def test_a_null_among_the_numbers_is_not_finite_and_named(tmp_path: Path) -> None:
    table = small_set(clip("a"), clip("b")).to_table()
    for name in ("keypoints", "scores"):
        numbers = table[name].to_pylist()
        numbers[1][4] = None
        column = pa.array(numbers, pa.large_list(pa.float32()))
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, tmp_path / shard_name(0))
    got = read_set(tmp_path)
    assert (got.keypoints.dtype, got.scores.dtype) == (np.float32, np.float32)
    assert np.isnan(got.clip(1).keypoints.ravel()[4]) and np.isnan(got.clip(1).scores.ravel()[4])
    assert {finding.check: finding.clips for finding in validate(got).findings} == {
        "keypoints_not_finite": ("b",),
        "scores_out_of_range": ("b",),
    }
    assert describe(got)["clips"] == 2


@pytest.mark.parametrize("name", ["ma52.pkl", "MA52.PKL", "ma52.pickle"])
def test_a_pickle_is_sent_to_the_import_and_never_deleted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(pickle.dumps([1]))
    told = f"{tmp_path / name}: a pickle, not a keypoint set; bring it in with 'pcan-pose data import'."
    assert error_of(tmp_path / name) == (told,)
    with pytest.raises(DataError, match="a pickle, not a keypoint set"):
        read_header(tmp_path / name)


def test_what_the_system_refuses_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set", small_set(clip("a")))
    (shard,) = shard_paths(tmp_path / "set")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, f"[Errno 13] Failed to open local file {str(shard)!r}")

    for name in ("read_table", "read_schema"):
        monkeypatch.setattr(pq, name, refuse)
    told = f"{shard}: cannot be read (Permission denied)."
    assert error_of(tmp_path / "set") == (told,)
    with pytest.raises(DataError, match=re.escape(told)):
        read_header(tmp_path / "set")
