import logging
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import TREE, assert_equal_sets, clip, small_set

from pcan_pose.errors import DataError, PcanError, SkeletonError, TaxonomyError
from pcan_pose.keypoints import KeypointSet
from pcan_pose.pickles import read_pickle, write_pickle
from pcan_pose.taxonomy import MA52
from pcan_pose.validation import validate


def annotation(name: str, *, joints: int = 17, dims: int = 2, frames: int = 4, **change: Any) -> dict[str, Any]:
    random = np.random.default_rng(list(name.encode()))
    made = {
        "frame_dir": name,
        "label": 1,
        "total_frames": frames,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "keypoint": random.uniform(1, 400, (1, frames, joints, dims)).astype(np.float16),
        "keypoint_score": random.uniform(0.1, 1, (1, frames, joints)).astype(np.float16),
        **change,
    }
    return {key: value for key, value in made.items() if value is not ...}


def write(folder: Path, content: Any, name: str = "demo_all.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(content, 4))
    return path


def faults_of(path: Path, kind: type[PcanError] = DataError, **options: Any) -> list[str]:
    with pytest.raises(kind) as caught:
        read_pickle(path, **options)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


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
    [(28, "openpose28"), (17, "coco17"), (133, "coco_wholebody133"), (75, "mediapipe_holistic"), (20, "kinect20")],
)
@pytest.mark.parametrize("dims", [2, 3])
def test_the_layout_goes_by_the_number_of_joints(tmp_path: Path, joints: int, layout: str, dims: int) -> None:
    path = write(tmp_path, [annotation("a", joints=joints, dims=dims)])
    assert read_pickle(path).header.layout == layout
    assert read_pickle(path, layout=layout).header.dims == dims


@pytest.mark.parametrize("dims", [2, 3])
def test_without_scores_a_joint_at_zero_was_not_found(tmp_path: Path, dims: int) -> None:
    one = annotation("a", dims=dims, keypoint_score=...)
    one["keypoint"][0, 1, 5] = 0
    one["keypoint"][0, 2, 6, 0] = 0  # one coordinate alone can be 0
    expected = np.ones((1, 4, 17), np.float32)
    expected[0, 1, 5] = 0
    np.testing.assert_array_equal(read_pickle(write(tmp_path, [one])).clip(0).scores, expected)


def test_scores_outside_the_range_are_clipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = annotation("a"), annotation("b")
    one["keypoint_score"][0, 0, :2] = 1.25, -0.5
    path = write(tmp_path, [one, two])
    assert read_pickle(path).clip(0).scores[0, 0, :2].tolist() == [1, 0]
    assert caplog.messages == [f"{path}: scores outside [0, 1] in a; set to the nearer end.", *caplog.messages[1:]]


LABELS = {"label_names": list(TREE.actions), "coarse_names": list(TREE.body_parts), "fine_to_coarse": [0, 0, 1]}


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


def test_a_broken_taxonomy(tmp_path: Path) -> None:
    path = write(tmp_path, {"annotations": [annotation("a")], **LABELS, "fine_to_coarse": [0, 0, 2]})
    assert faults_of(path, TaxonomyError) == [
        "taxonomy 'demo': action 2 ('wave') has body part 2, which is not in 0..1.",
        "taxonomy 'demo': body part 1 ('hand') has no action; drop it.",
    ]


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


def test_every_fault_of_every_clip(tmp_path: Path) -> None:
    infinite = annotation("inf")
    infinite["keypoint"][0, 0, 0] = np.nan, np.inf
    wide = np.full((1, 4, 17, 2), 1e300)
    content = [
        annotation("ok"),
        annotation("ok"),
        annotation("", label="nod"),
        annotation("b", keypoint=...),
        annotation("c", keypoint=np.zeros((4, 17, 2)), fps=-1),
        annotation("d", keypoint_score=np.zeros((1, 4, 16))),
        annotation("e", total_frames=5, label=3, img_shape=(480, 640, 3)),
        annotation("f", label=2, coarse_label=0, img_shape=(0, 640)),
        infinite,
        annotation("wide", keypoint=wide),
        annotation("g", dims=3),
    ]
    not_found = "are not finite; a joint that was not found is 0 with score 0."
    assert faults_of(write(tmp_path, content), taxonomy=TREE) == [
        "clip 2: no name; it needs 'frame_dir' or 'filename' or 'vid'.",
        "clip 2: label 'nod' is not a whole number.",
        "clip 'b': no 'keypoint' array of numbers.",
        "clip 'c': keypoint (4, 17, 2), expected (persons, frames, 17 joints, 2 or 3).",
        "clip 'c': fps -1 is not a positive number.",
        "clip 'd': keypoint_score (1, 4, 16) does not fit keypoint (1, 4, 17, 2), expected (1, 4, 17).",
        "clip 'e': total_frames 5, but keypoint (1, 4, 17, 2) has 4 frames.",
        "clip 'e': label 3 is not in 0..2, the actions of taxonomy 'tree'.",
        "clip 'e': img_shape (480, 640, 3) is not (height, width) in pixels.",
        "clip 'f': coarse_label 0, but taxonomy 'tree' has action 2 under 1.",
        "clip 'f': img_shape (0, 640) is not (height, width) in pixels.",
        f"clip 'inf': 2 values of keypoint {not_found}",
        f"clip 'wide': 136 values of keypoint {not_found}",
        "clip 'ok' comes 2 times; names must be unique.",
        "2 clips are in 2-D and 1 in 3-D; keep them in separate files.",
    ]


def test_very_many_faults_are_counted(tmp_path: Path) -> None:
    faults = faults_of(write(tmp_path, [annotation("a"), *(annotation(f"x{i}", label=1.5) for i in range(100))]))
    assert len(faults) == 21
    assert faults[-1] == "and 80 more faults."


@pytest.mark.parametrize(
    ("content", "got"),
    [({"keypoints": 1, "x": 2}, "dict with keypoints, x"), ("text", "str"), ([], "list"), ([1], "list")],
)
def test_pickles_of_something_else(tmp_path: Path, content: Any, got: str) -> None:
    assert faults_of(write(tmp_path, content)) == [
        f"expected a list of annotations, or a dict with 'split' and 'annotations', got a {got}; "
        "is it a keypoint pickle of pyskl or mmaction2?"
    ]


@pytest.mark.parametrize("split", [["a"], {"train": "a"}, {"train": 3}])
def test_splits_of_another_form(tmp_path: Path, split: Any) -> None:
    path = write(tmp_path, {"split": split, "annotations": [annotation("a")]})
    assert faults_of(path) == ["'split' must map each split's name to a list of its clips."]


def test_code_in_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.")
    assert faults_of(path) == ["holds code: os.system; refused. Keypoints need arrays and plain containers only."]


def test_layouts_that_do_not_fit(tmp_path: Path) -> None:
    known = (
        "openpose28 (28), coco17 (17), halpe26 (26), coco_wholebody133 (133), mediapipe_holistic (75), kinect20 (20)"
    )
    odd = write(tmp_path, [annotation("a", joints=25)])
    assert faults_of(odd, SkeletonError) == [f"no layout has 25 joints; known are {known}."]
    wrong = "keypoints of 25 joints, layout 'coco17' has 17."
    assert faults_of(odd, SkeletonError, layout="coco17") == [wrong]
    with pytest.raises(SkeletonError, match=r"unknown layout 'coco18'\. Did you mean 'coco17'\?"):
        read_pickle(odd, layout="coco18")
    empty = write(tmp_path, [annotation("a", keypoint=...)])
    assert faults_of(empty) == ["no annotation has 'keypoint', an array (persons, frames, joints, coordinates)."]


COCO = ["nose", "left eye", "eye-right", "Left_Ear", "Right_Ear"]
COCO += [
    f"{side}_{joint}" for joint in ("shoulder", "elbow", "hand", "hip", "knee", "foot") for side in ("left", "right")
]
HINT = "name the right layout with --layout, or bring the joints into its order."


def test_joint_names_in_other_words_are_no_contradiction(tmp_path: Path) -> None:
    assert (
        read_pickle(write(tmp_path, {"annotations": [annotation("a")], "joint_names": COCO})).header.layout == "coco17"
    )


def test_joint_names_in_another_order_are_refused(tmp_path: Path) -> None:
    names = COCO.copy()
    names[5:7], names[9] = ["right_shoulder", "left_shoulder"], "right_paw"
    path = write(tmp_path, {"annotations": [annotation("a")], "joint_names": names})
    assert faults_of(path, SkeletonError) == [
        f"joint 5 is 'right_shoulder', in layout 'coco17' it is 'left_shoulder'; {HINT}",
        f"joint 6 is 'left_shoulder', in layout 'coco17' it is 'right_shoulder'; {HINT}",
        f"joint 9 is 'right_paw', in layout 'coco17' it is 'left_wrist'; {HINT}",
    ]
    path = write(tmp_path, {"annotations": [annotation("a")], "joint_names": COCO[:-1]})
    assert faults_of(path, SkeletonError) == [f"16 joint names, layout 'coco17' has 17 joints; {HINT}"]


def test_bones_of_another_order_are_refused(tmp_path: Path) -> None:
    coco = [(15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10)]
    coco += [(1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]
    path = write(tmp_path, {"annotations": [annotation("a")], "bones": coco})
    assert read_pickle(path).header.layout == "coco17"
    path = write(tmp_path, {"annotations": [annotation("a")], "bones": [(a, (a + 8) % 17) for a in range(16)]})
    (fault,) = faults_of(path, SkeletonError)
    assert fault.startswith("its bones share ")
    assert fault.endswith(f" of 16 with layout 'coco17'; {HINT}")


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
