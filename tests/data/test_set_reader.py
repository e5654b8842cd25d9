import errno
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_sets import clip, small_set

from pcan_pose.data.set_reader import clip_counts, clip_parts
from pcan_pose.errors import DataError
from pcan_pose.keypoints import shard_paths, write_set


def test_what_the_system_refuses_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set", small_set(clip("a")))
    (shard,) = shard_paths(tmp_path / "set")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "[Errno 5] Error reading bytes from file")

    for name in ("read_table", "ParquetFile"):
        monkeypatch.setattr(pq, name, refuse)
    with pytest.raises(DataError, match=re.escape(f"{shard}: cannot be read (Input/output error).")):
        clip_counts(shard, 1)
    with pytest.raises(DataError, match=re.escape(f"{shard}: cannot be read (Input/output error).")):
        next(clip_parts(shard))
