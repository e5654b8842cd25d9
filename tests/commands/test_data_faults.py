"""Faults of sets and places that the commands below `data` name."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from small_sets import clip, small_set

from pcan_pose.cli import main
from pcan_pose.keypoints import write_set


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


@pytest.mark.parametrize("place", [".", "/"])
def test_export_to_a_folder(tmp_path: Path, place: str) -> None:
    write_set(tmp_path / "set", small_set(clip("a")))
    for options in ((), ("--overwrite",)):
        result = run("export", tmp_path / "set", "--out", place, *options)
        assert result.exit_code == 1
        assert result.stderr == f"error: {place}: cannot be written (it is a folder); name a file in it.\n"


def test_nulls_are_named_and_described(tmp_path: Path) -> None:
    table = small_set(clip("a"), clip("b")).to_table()
    numbers = table["keypoints"].to_pylist()
    numbers[1][0] = None
    column = pa.array(numbers, pa.large_list(pa.float32()))
    table = table.set_column(table.column_names.index("keypoints"), "keypoints", column)
    pq.write_table(table, tmp_path / "part-00000.parquet")
    result = run("validate", tmp_path)
    assert result.exit_code == 1
    assert result.stdout.startswith("error: 1 clips: coordinates that are not finite; ")
    assert result.stdout.splitlines()[0].endswith(": b")
    assert run("info", tmp_path).exit_code == 0
    assert json.loads(run("info", tmp_path, "--json").stdout)["clips"] == 2


def test_validate_names_clips_in_two_splits_of_one_protocol(tmp_path: Path) -> None:
    clips = [clip(f"c{i}", splits=("xsub_train", "xsub_test")) for i in range(7)]
    write_set(tmp_path / "set", small_set(*clips))
    result = run("validate", tmp_path / "set")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == (
        "error: 7 clips: in both of the splits 'xsub_test' and 'xsub_train', which should be disjoint; split the set "
        "anew: c0, c1, c2, c3, c4 and 2 more"
    )


def test_an_export_does_not_replace_the_set(tmp_path: Path) -> None:
    write_set(tmp_path / "set", small_set(clip("a")))
    shard = tmp_path / "set" / "part-00000.parquet"
    before = shard.read_bytes()
    result = run("export", tmp_path / "set", "--out", shard, "--overwrite")
    assert result.exit_code == 2 and "is a file that is read; name another" in result.output
    assert shard.read_bytes() == before
