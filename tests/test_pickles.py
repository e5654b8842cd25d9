"""Reading the field's pickles."""

import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickle_files import LABELS, annotation, write
from small_sets import TREE

from pcan_pose.errors import SkeletonError
from pcan_pose.pickles import read_pickle
from pcan_pose.taxonomy import MA52
from pcan_pose.validation import validate


def test_the_dict_form(tmp_path: Path) -> None:
    one, two = annotation("a", fps=25, subject=3), annotation("b", frames=2, label=0)
    split = {"train": ["a"], "all": ["b", "a"]}
    got = read_pickle(write(tmp_path, {"split": split, "annotations": [one, two]}))
    assert (got.header.layout, got.header.dims, got.header.estimator) == ("coco17", 2, "unknown")
    assert got.header.taxonomy is None
    assert (got.clip_ids, got.splits) == (["a", "b"], [("all", "train"), ("all",)])
    assert (got.subjects, got.sources) == (["3", None], ["demo_all.pkl"] * 2)
    np.testing.assert_array_equal(got.labels, [1, 0])
    np.testing.assert_array_equal(got.fps, [25, np.nan])
    np.testing.assert_array_equal((got.width, got.height), [[640, 640], [480, 480]])
    np.testing.assert_array_equal(got.clip(0).keypoints, one["keypoint"].astype(np.float32))
    np.testing.assert_array_equal(got.clip(1).scores, two["keypoint_score"].astype(np.float32))


@pytest.mark.parametrize("key", ["frame_dir", "filename", "vid"])
def test_the_list_form_and_every_name_for_the_name(tmp_path: Path, key: str) -> None:
    content = [annotation("x", label=..., img_shape=..., original_shape=..., **{"frame_dir": ..., key: "a/b.mp4"})]
    got = read_pickle(write(tmp_path, content))
    assert (got.clip_ids, got.splits, got.labels.tolist(), got.width.tolist()) == (["a/b.mp4"], [()], [-1], [0])


@pytest.mark.parametrize("label", [..., None, -1])
def test_unknown_labels(tmp_path: Path, label: Any) -> None:
    assert read_pickle(write(tmp_path, [annotation("a", label=label)])).labels.tolist() == [-1]


@pytest.mark.parametrize(
    ("joints", "layout"),
    [
        (28, "openpose28"),
        (17, "coco17"),
        (133, "coco_wholebody133"),
        (75, "mediapipe_holistic"),
        (20, "kinect20"),
        (25, "kinect25"),
    ],
)
@pytest.mark.parametrize("dims", [2, 3])
def test_the_layout_goes_by_the_number_of_joints(tmp_path: Path, joints: int, layout: str, dims: int) -> None:
    one = annotation("a", joints=joints, dims=dims)
    path = write(tmp_path, [one])
    if layout == "kinect20" or (dims == 3) == (layout == "kinect25"):
        assert read_pickle(path).header.layout == layout
    else:
        with pytest.raises(SkeletonError, match=f"{joints} joints in {dims}-D, whose number does not tell their order"):
            read_pickle(path)
    for named in (
        read_pickle(path, layout=layout),
        read_pickle(write(tmp_path, {"annotations": [one], "meta": {"layout": layout}})),
    ):
        assert (named.header.layout, named.header.dims) == (layout, dims)


@pytest.mark.parametrize("dims", [2, 3])
def test_without_scores_a_joint_at_zero_was_not_found(tmp_path: Path, dims: int) -> None:
    one = annotation("a", dims=dims, keypoint_score=...)
    one["keypoint"][0, 1, 5] = 0
    one["keypoint"][0, 2, 6, 0] = 0  # one coordinate alone can be 0
    expected = np.ones((1, 4, 17), np.float32)
    expected[0, 1, 5] = 0
    np.testing.assert_array_equal(read_pickle(write(tmp_path, [one]), layout="coco17").clip(0).scores, expected)


def test_scores_outside_the_range_are_clipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = annotation("a"), annotation("b")
    one["keypoint_score"][0, 0, :2] = 1.25, -0.5
    path = write(tmp_path, [one, two])
    assert read_pickle(path).clip(0).scores[0, 0, :2].tolist() == [1, 0]
    assert caplog.messages == [f"{path}: scores outside [0, 1] in a; set to the nearer end.", *caplog.messages[1:]]


def test_the_pickles_own_taxonomy(tmp_path: Path) -> None:
    content = {"split": {}, "annotations": [annotation("a", coarse_label=0)], **LABELS}
    assert read_pickle(write(tmp_path, content)).header.taxonomy == replace(TREE, name="demo")
    content["meta"] = {
        "taxonomy": "tree",
        "sensor": "webcam",
        "licence": "CC0",
        "year": 2024,
        "list": [1],
        "none": None,
    }
    header = read_pickle(write(tmp_path, content)).header
    assert header.taxonomy == TREE
    assert header.estimator == "webcam"
    assert header.extra == {"sensor": "webcam", "licence": "CC0", "year": "2024"}
    assert read_pickle(write(tmp_path, content), estimator="hrnet").header.estimator == "hrnet"
    assert read_pickle(write(tmp_path, content), taxonomy=MA52).header.taxonomy == MA52


@pytest.mark.parametrize(
    "parents", [np.array([0, 0, 1]), np.array([0, 0, 1], np.uint8), {0: 0, 1: 0, 2: 1}, {2: np.int64(1), 1: 0, 0: 0}]
)
def test_a_tree_of_an_array_or_a_mapping(tmp_path: Path, parents: Any) -> None:
    names = {"label_names": np.array(LABELS["label_names"]), "coarse_names": {0: "head", 1: "hand"}}
    content = {"annotations": [annotation("a")], **names, "fine_to_coarse": parents}
    assert read_pickle(write(tmp_path, content)).header.taxonomy == TREE


def test_two_files_of_one_data_set_have_one_tree(tmp_path: Path) -> None:
    """Their trees are called after the files; labels mean the same in both."""
    content = {"annotations": [annotation("a")], **LABELS}
    first, second = (read_pickle(write(tmp_path, content, name)).header for name in ("train.pkl", "test.pkl"))
    assert [header.taxonomy.name for header in (first, second) if header.taxonomy] == ["train", "test"]
    assert first == second


def test_names_of_labels_alone_are_no_tree(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, {"annotations": [annotation("a")], "label_names": LABELS["label_names"]})
    assert read_pickle(path).header.taxonomy is None
    assert "labels without an action tree" in caplog.messages[0]


def test_labels_without_a_taxonomy_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, [annotation("a")])
    read_pickle(path)
    told = f"{path}: labels without an action tree; a model needs one: give it with --taxonomy."
    assert caplog.messages == [told]


@pytest.mark.parametrize(
    ("taxonomy", "from_name", "subjects"),
    [(None, False, [None, None, None]), (MA52, False, ["0003", None, None]), (None, True, ["0003", "p1", None])],
)
def test_subjects_from_names(tmp_path: Path, taxonomy: Any, from_name: bool, subjects: list[str | None]) -> None:
    path = write(tmp_path, [annotation("0003_01_0001"), annotation("v/p1_x.mp4"), annotation("test0000")])
    got = read_pickle(path, taxonomy=taxonomy, subject_from_name=from_name)
    assert got.subjects == subjects


def test_ma52s_placeholder_labels_are_unknown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = [annotation(name, joints=28, label=label) for name, label in (("a", 0), ("b", 51), ("t1", 0), ("t2", 0))]
    content = {"split": {"train": ["a", "b"], "test": ["t1", "t2"]}, "annotations": clips}
    path = write(tmp_path, content)
    assert read_pickle(path, taxonomy=MA52).labels.tolist() == [0, 51, -1, -1]
    told = f"{path}: split 'test' has label 0 only, MA-52's placeholder; taken as unknown."
    assert caplog.messages == [told]
    clips[3]["label"] = 2
    assert read_pickle(write(tmp_path, content), taxonomy=MA52).labels.tolist() == [0, 51, 0, 2]


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    names = [f"gone{i}" for i in range(7)]
    path = write(tmp_path, {"split": {"val": ["a", *names]}, "annotations": [annotation("a", label=..., view=2)]})
    assert read_pickle(path).splits == [("val",)]
    some = "gone0, gone1, gone2, gone3, gone4 and 2 more"
    assert caplog.messages == [
        f"{path}: not kept from the annotations: view.",
        f"{path}: split 'val' names clips without annotation: {some}; left out.",
    ]


def test_nw_ucla(shared: Path) -> None:
    path = shared / "nwucla" / "nwucla_xview.pkl"
    got = read_pickle(path)
    assert (len(got), got.header.layout, got.header.dims) == (1484, "kinect20", 3)
    assert got.header.taxonomy is not None
    assert got.header.taxonomy.name == "nwucla"
    assert (got.header.taxonomy.num_actions, got.header.taxonomy.parents) == (10, (0, 0, 3, 1, 1, 1, 2, 2, 3, 3))
    sizes = {name: len(got.in_split(name)) for name in got.split_names()}
    assert (sizes["xview_train"], sizes["xview_test"], sizes["xview_test_clean"]) == (1020, 464, 369)
    # Two clips hold a frame that the sensor lost joints in; the rule for pickles without scores finds the same ones.
    lost = (got.keypoints == 0).all(-1)
    assert lost.sum() == 12
    np.testing.assert_array_equal(got.scores, ~lost)
    assert got.subjects[0] == "1"


def test_nw_uclas_twins_are_the_known_ones(shared: Path) -> None:
    path = shared / "nwucla" / "nwucla_xview.pkl"
    known = pickle.loads(path.read_bytes())["meta"]["exact_cross_view_twins"]
    result = validate(read_pickle(path))
    (leak,) = [leak for leak in result.leaks if leak.splits == ("xview_test", "xview_train")]
    assert len(leak.groups) == 95
    assert {frozenset(group) for group in leak.groups} == {frozenset(pair) for pair in known}
    assert not any("clean" in name for leak in result.leaks for name in leak.splits)
    assert {finding.check: len(finding.clips) for finding in result.warnings} == {"frozen": 2, "twins": 190}
    assert {finding.check for finding in result.errors} == {"leak"}
