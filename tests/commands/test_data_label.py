"""The command `data label`."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from small_sets import assert_equal_sets, clip, small_set

from pcan_pose.cli import main
from pcan_pose.keypoints import KeypointSet, read_set, write_set
from pcan_pose.taxonomy import MA52

TREE = "name: interview\ntree:\n  head: [nodding, shaking head]\n  hands: [rubbing hands]\n"


@pytest.fixture
def bare(tmp_path: Path) -> KeypointSet:
    """A set that was extracted without labels, of clips in two folders."""
    clips = [clip("a"), clip("day1/b", subject="Ann"), clip("day2/b"), clip("v1.take2")]
    write_set(tmp_path / "bare", small_set(*clips, taxonomy=None))
    (tmp_path / "tree.yaml").write_text(TREE)
    return read_set(tmp_path / "bare")


def label(folder: Path, *lists: str, tree: str | None = "tree.yaml", source: str = "bare") -> Result:
    """Run the command with lists of the form `name: lines`."""
    options: list[str] = []
    for text in lists:
        name, lines = text.split(": ")
        (folder / name).write_text(lines)
        options += ["--labels", str(folder / name)]
    if tree is not None:
        options += ["--taxonomy", str(folder / tree) if tree.endswith(".yaml") else tree]
    return CliRunner().invoke(main, ["data", "label", str(folder / source), *options, "--out", str(folder / "new")])


def test_labels_splits_and_tree_come_from_the_lists(bare: KeypointSet, tmp_path: Path) -> None:
    result = label(tmp_path, "train.txt: a.mp4 2\nday1/b.avi 0\n", "val.txt: v1.take2 1\nlost.mp4 1\n")
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'new'}: 4 clips, 3 labelled, taxonomy interview; splits: train 2, val 1\n" in result.output
    assert "1 file (lost) named in a label list not found." in result.output
    assert "1 video (day2/b) in no label list: stored without label and split." in result.output
    new = read_set(tmp_path / "new")
    assert new.header.taxonomy is not None
    assert new.header.taxonomy.actions == ("nodding", "shaking head", "rubbing hands")
    assert new.labels.tolist() == [2, 0, -1, 1]
    assert new.splits == [("train",), ("train",), (), ("val",)]
    assert new.subjects == [None, "Ann", None, None]
    np.testing.assert_array_equal(new.keypoints, bare.keypoints)
    np.testing.assert_array_equal(new.scores, bare.scores)


def test_a_name_belongs_to_all_clips_that_end_in_it(bare: KeypointSet, tmp_path: Path) -> None:
    assert label(tmp_path, "train.txt: b.mp4 1\n").exit_code == 0
    assert read_set(tmp_path / "new").labels.tolist() == [-1, 1, 1, -1]


def test_other_lists_replace_the_labels_and_the_tree_stays(bare: KeypointSet, tmp_path: Path) -> None:
    assert label(tmp_path, "train.txt: a.mp4 2\n").exit_code == 0
    (tmp_path / "new").rename(tmp_path / "first")
    assert label(tmp_path, "val.txt: day2/b.mp4 0\n", tree=None, source="first").exit_code == 0
    new, first = read_set(tmp_path / "new"), read_set(tmp_path / "first")
    assert (new.labels.tolist(), new.splits) == ([-1, -1, 0, -1], [(), (), ("val",), ()])
    assert new.header == first.header


def test_it_is_what_an_extraction_with_the_lists_gives(tmp_path: Path) -> None:
    names = ("0003_01_0001", "sub/0004_02_0002", "test0000")
    write_set(tmp_path / "bare", small_set(*(clip(name) for name in names), taxonomy=None))
    lists = (
        "train_list.txt: 0003_01_0001.mp4 9\n",
        "val_list.txt: 0004_02_0002.mp4 51\n",
        "test_list.txt: test0000.mp4 0\n",
    )
    result = label(tmp_path, *lists, tree="ma52")
    assert "all 1 labels are 0, as in MA-52's test list: stored as unknown." in result.output
    known = zip(names, (9, 51, None), (("train",), ("val",), ("test",)), ("0003", "0004", None), strict=True)
    clips = [clip(name, label=action, splits=splits, subject=subject) for name, action, splits, subject in known]
    assert_equal_sets(read_set(tmp_path / "new"), small_set(*clips, taxonomy=MA52))


@pytest.mark.parametrize(
    ("lists", "tree", "told"),
    [
        (["train.txt: a.mp4 1\n"], None, "has no action tree; give --taxonomy ma52, or the YAML file of yours."),
        (["train.txt: a.mp4 7\n"], "tree.yaml", "action 7 is not in interview's 0..2."),
        (
            ["train.txt: c.mp4 1\n"],
            "tree.yaml",
            "none of the 4 clips is in a label list; clip ids are a, day1/b, day2/b, v1.take2, lines c.mp4.",
        ),
        (["train.txt: a.mp4 1\n", "val.txt: a.mp4 2\n"], "tree.yaml", "a: the label is 1 in "),
        (["train.txt: a.mp4 1\na.avi 2\n"], "tree.yaml", "clip 'a' has labels 1 and 2; correct the list."),
    ],
)
def test_what_cannot_be_is_named_and_nothing_written(
    bare: KeypointSet, tmp_path: Path, lists: list[str], tree: str | None, told: str
) -> None:
    result = label(tmp_path, *lists, tree=tree)
    assert result.exit_code == 1
    assert told in result.stderr
    assert not (tmp_path / "new").exists()
