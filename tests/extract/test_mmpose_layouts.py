import pytest

from pcan_extract.backends.mmpose_layouts import find_layout, joint_name
from pcan_pose.errors import ConfigError
from pcan_pose.skeleton import SKELETONS, adjacency, map_layout


def _meta(names, links=(), swap=None, dataset="mine"):
    swap = swap or {}
    return {
        "dataset_name": dataset,
        "keypoint_id2name": dict(enumerate(names)),
        "skeleton_links": [(names.index(a), names.index(b)) for a, b in links],
        "flip_indices": [names.index(swap.get(name, name)) for name in names],
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("left_forefinger1", "left_index_1"),
        ("right_pinky_finger4", "right_pinky_tip"),
        ("left_thumb3", "left_thumb_3"),
        ("thumb4", "thumb_tip"),
        ("L_Middle_2", "left_middle_2"),
        ("face-0", "face_0"),
        ("hip", "hip_centre"),
        ("Pelvis", "hip_centre"),
        ("left_hip", "left_hip"),
        ("Shoulder_Left", "left_shoulder"),
        ("R_Big_toe", "right_big_toe"),
        ("left_hand_root", "left_hand_root"),
    ],
)
def test_joint_names(theirs, ours):
    assert joint_name(theirs) == ours


def test_known_layout_is_recognised_by_names_in_order():
    names = list(SKELETONS["halpe26"].joints)
    names[names.index("hip_centre")] = "hip"
    assert find_layout(_meta(names), "m") == "halpe26"
    names[0], names[1] = names[1], names[0]
    assert find_layout(_meta(names), "m") != "halpe26"


def test_other_joints_become_a_skeleton():
    names = ["right_wrist", "head", "left_wrist", "left_shoulder", "right_shoulder", "neck"]
    links = [
        ("neck", "left_shoulder"),
        ("left_shoulder", "right_shoulder"),
        ("right_shoulder", "neck"),
        ("left_wrist", "left_shoulder"),
        ("right_shoulder", "right_wrist"),
    ]
    swap = {
        f"{a}_{joint}": f"{b}_{joint}"
        for joint in ("wrist", "shoulder")
        for a, b in (("left", "right"), ("right", "left"))
    }
    skeleton = find_layout(_meta(names, links, swap), "m")
    assert skeleton.name == "mmpose:mine"
    assert skeleton.joints == tuple(names)
    bones = {(names[child], names[parent]) for child, parent in skeleton.bones}
    # The ring of neck and shoulders is opened; the head, which no link reaches, hangs on the root.
    assert bones == {
        ("left_shoulder", "neck"),
        ("right_shoulder", "neck"),
        ("left_wrist", "left_shoulder"),
        ("right_wrist", "right_shoulder"),
        ("head", "neck"),
    }
    assert skeleton.flip_pairs == ((2, 0), (3, 4))
    assert skeleton.centre == (5,)
    assert skeleton.scale == (((3,), (4,)),)
    assert adjacency(skeleton).sum() == 6 + 2 * 5


def test_joints_are_mapped_by_name_not_by_position():
    import numpy as np

    names = list(SKELETONS["coco_wholebody133"].joints)[::-1]
    skeleton = find_layout(_meta(names), "m")
    keypoints = np.arange(133, dtype=np.float32)[:, None] * np.ones(2, np.float32)  # (V, 2)
    mapped, scores = map_layout(keypoints, np.ones(133, np.float32), skeleton, "openpose28")
    assert scores.all()
    tip = SKELETONS["openpose28"].index("right_index_tip")
    assert mapped[tip, 0] == names.index("right_index_tip")


def test_a_hand_alone_has_a_size():
    skeleton = find_layout(_meta(["wrist", "thumb1", "thumb2"], [("wrist", "thumb1"), ("thumb1", "thumb2")]), "m")
    assert (skeleton.centre, skeleton.scale) == ((0,), (((0,), (2,)),))


def test_two_joints_of_one_name_are_refused():
    with pytest.raises(
        ConfigError, match="model 'm': dataset_info of 'mine' has more than one joint called hip_centre"
    ):
        find_layout(_meta(["hip", "pelvis", "neck"]), "m")
    with pytest.raises(ConfigError, match="has 1 joint;"):
        find_layout(_meta(["hip"]), "m")
