"""The command `data select`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_sets import assert_equal_sets, clip, small_set

from pcan_pose.cli import main
from pcan_pose.keypoints import KeypointSet, read_set, write_set


@pytest.fixture
def whole(tmp_path: Path) -> KeypointSet:
    clips = [clip(f"c{i}", label=i % 3, splits=("train", "all") if i < 4 else ("val", "all")) for i in range(6)]
    write_set(tmp_path / "whole", small_set(*clips))
    return read_set(tmp_path / "whole")


def select(folder: Path, *arguments: str, out: str = "part") -> Result:
    return CliRunner().invoke(main, ["data", "select", str(folder / "whole"), "--out", str(folder / out), *arguments])


def ids(folder: Path, name: str, *clip_ids: str) -> str:
    (folder / name).write_text("\n".join(clip_ids))
    return str(folder / name)


@pytest.mark.parametrize(
    ("only", "without", "splits", "kept"),
    [
        (None, ["c1", "c5"], [], [0, 2, 3, 4]),
        (["c5", "c0"], None, [], [0, 5]),
        (None, None, ["val"], [4, 5]),
        (None, None, ["val", "all"], [0, 1, 2, 3, 4, 5]),
        (["c0", "c1", "c4"], ["c0"], ["train"], [1]),
    ],
)
def test_what_is_asked_for_holds_together(
    whole: KeypointSet,
    tmp_path: Path,
    only: list[str] | None,
    without: list[str] | None,
    splits: list[str],
    kept: list[int],
) -> None:
    named = [("--only", only), ("--without", without)]
    files = [part for option, names in named if names for part in (option, ids(tmp_path, option[2:], *names))]
    result = select(tmp_path, *files, *(part for name in splits for part in ("--split", name)))
    assert result.exit_code == 0, result.output
    assert result.output == f"{tmp_path / 'part'}: {len(kept)} of 6 clips\n"
    assert_equal_sets(read_set(tmp_path / "part"), whole.select(kept))


def test_a_clip_that_comes_twice_can_be_left_out(whole: KeypointSet, tmp_path: Path) -> None:
    clips = list(whole.clips())
    write_set(tmp_path / "whole", KeypointSet.from_clips(whole.header, [*clips, clips[2]]), overwrite=True)
    kept = select(tmp_path, "--split", "train")
    assert "1 clip ids come more than once (c2); leave them out." in kept.output
    assert not (tmp_path / "part").exists()
    assert select(tmp_path, "--without", ids(tmp_path, "ids", "c2")).exit_code == 0
    assert read_set(tmp_path / "part").clip_ids == ["c0", "c1", "c3", "c4", "c5"]


def test_faults(whole: KeypointSet, tmp_path: Path) -> None:
    assert "give --only, --without or --split" in select(tmp_path).output
    unknown = select(tmp_path, "--without", ids(tmp_path, "ids", "c1", "x", "y"))
    assert "has no clip of the name in 2 of the 3 lines" in unknown.output and "(x, y)" in unknown.output
    assert "no clip is in split 'tests'" in select(tmp_path, "--split", "tests").output
    nothing = select(tmp_path, "--split", "val", "--only", ids(tmp_path, "ids", "c1"))
    assert nothing.exit_code == 1 and "no clip stays, so nothing was written" in nothing.output
    assert not (tmp_path / "part").exists()
    assert "--overwrite" in select(tmp_path, "--split", "val", out="whole").output
    assert len(read_set(tmp_path / "whole")) == 6
