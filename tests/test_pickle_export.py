"""Writing pickles for the field's other tools."""

import os
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import TREE, assert_equal_sets, clip, small_set

from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet
from pcan_pose.pickles import read_pickle, write_pickle


def rich_set() -> KeypointSet:
    return small_set(
        clip("a", splits=("test", "val"), label=2, subject="s", fps=30.0, source="a.mp4"),
        clip("b", persons=2, frames=5, width=None, height=None, source="b"),
        licence="CC0",
    )


@pytest.mark.parametrize("tree", [TREE, None])
def test_export_and_import_give_the_same_set(tmp_path: Path, tree: Any) -> None:
    original = replace(rich_set(), header=replace(rich_set().header, taxonomy=tree))
    write_pickle(tmp_path / "out.pkl", original)
    assert_equal_sets(read_pickle(tmp_path / "out.pkl"), original)
    assert os.listdir(tmp_path) == ["out.pkl"]


def test_an_export_is_what_the_peers_read(tmp_path: Path) -> None:
    write_pickle(tmp_path / "out.pkl", rich_set())
    stream = (tmp_path / "out.pkl").read_bytes()
    assert stream[:2] == b"\x80\x04"
    content = pickle.loads(stream)
    assert content["split"] == {"test": ["a"], "val": ["a"]}
    one, two = content["annotations"]
    assert (one["frame_dir"], one["label"], one["total_frames"]) == ("a", 2, 3)
    assert one["img_shape"] == one["original_shape"] == (100, 100)
    assert (two["label"], "img_shape" in two) == (-1, False)
    assert (two["keypoint"].shape, two["keypoint_score"].shape) == ((2, 5, 17, 2), (2, 5, 17))
    assert two["keypoint"].dtype == two["keypoint_score"].dtype == np.float32
    assert type(two["keypoint"]) is np.ndarray


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.pkl"
    path.write_bytes(b"mine")
    with pytest.raises(DataError) as caught:
        write_pickle(path, rich_set())
    exists = "already exists; name another file, or allow it to be replaced with --overwrite."
    assert str(caught.value) == f"{path}: {exists}"

    def fail(content: Any, stream: Any, protocol: int) -> None:
        stream.write(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("pcan_pose.pickles.pickle.dump", fail)
        with pytest.raises(OSError, match="disk full"):
            write_pickle(path, rich_set(), overwrite=True)
    assert (os.listdir(tmp_path), path.read_bytes()) == (["out.pkl"], b"mine")
    write_pickle(path, rich_set(), overwrite=True)
    assert_equal_sets(read_pickle(path), rich_set())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_no_pickle(tmp_path: Path, overwrite: bool) -> None:
    for place in (tmp_path, "."):
        with pytest.raises(DataError, match=re.escape(f"{place}: cannot be written (it is a folder); name a file")):
            write_pickle(place, rich_set(), overwrite=overwrite)
