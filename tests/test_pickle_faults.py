"""Pickles that are refused, and what is said of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickle_files import LABELS, annotation, faults_of, write
from small_sets import TREE

from pcan_pose.errors import DataError, SkeletonError, TaxonomyError
from pcan_pose.pickles import read_pickle

KEYS = "label_names, coarse_names, fine_to_coarse"


def test_a_broken_taxonomy(tmp_path: Path) -> None:
    path = write(tmp_path, {"annotations": [annotation("a")], **LABELS, "fine_to_coarse": [0, 0, 2]})
    assert faults_of(path, TaxonomyError) == [
        f"{KEYS}: taxonomy 'demo': action 2 ('wave') has body part 2, which is not in 0..1.",
        f"{KEYS}: taxonomy 'demo': body part 1 ('hand') has no action; drop it.",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"fine_to_coarse": [0, 0, 0.9]}, "taxonomy: parents must be whole numbers, got [0, 0, 0.9]."),
        (
            {"fine_to_coarse": {"nod": "head"}},
            "taxonomy: parents must be a list, an array or a mapping from 0, 1, 2 and so on.",
        ),
        ({"coarse_names": 2}, "taxonomy: body_parts must be a list, an array or a mapping from 0, 1, 2 and so on."),
    ],
)
def test_a_tree_that_is_none_names_its_keys(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    path = write(tmp_path, {"annotations": [annotation("a")], **LABELS, **change})
    assert faults_of(path, TaxonomyError) == [f"{KEYS}: {fault}"]
    assert read_pickle(path, taxonomy=TREE).header.taxonomy == TREE


@pytest.mark.parametrize(
    ("left", "absent"),
    [(["label_names", "coarse_names"], "fine_to_coarse"), (["fine_to_coarse"], "label_names, coarse_names")],
)
def test_half_a_tree_is_said(tmp_path: Path, left: list[str], absent: str) -> None:
    path = write(tmp_path, {"annotations": [annotation("a")], **{key: LABELS[key] for key in left}})
    assert faults_of(path, TaxonomyError) == [
        f"an action tree needs {KEYS}; there is no {absent}: add it, or give the tree with --taxonomy."
    ]


@pytest.mark.parametrize("joints", [17, 28, 75])
def test_joints_in_3d_are_not_guessed(tmp_path: Path, joints: int) -> None:
    path = write(tmp_path, [annotation("a", joints=joints, dims=3)])
    (fault,) = faults_of(path, SkeletonError)
    assert fault.startswith(f"{joints} joints in 3-D, whose number does not tell their order (Human3.6M's 17 are in ")
    assert "; name the layout with --layout, such as --layout " in fault


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
    path = write(tmp_path, [annotation("a"), *(annotation(f"x{i}", label=1.5) for i in range(100))])
    with pytest.raises(DataError) as caught:
        read_pickle(path)
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == "... and 80 faults more."


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
        "openpose28 (28), coco17 (17), halpe26 (26), coco_wholebody133 (133), mediapipe_holistic (75), kinect20 (20), "
        "kinect25 (25)"
    )
    odd = write(tmp_path, [annotation("a", joints=24)])
    assert faults_of(odd, SkeletonError) == [f"no layout has 24 joints; known are {known}."]
    wrong = "keypoints of 24 joints, layout 'coco17' has 17."
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
