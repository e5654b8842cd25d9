import numpy as np
import pytest

from pcan_pose.errors import SkeletonError
from pcan_pose.skeleton import SKELETONS, adjacency, map_layout, skeleton, spatial_partition

LAYOUTS = sorted(SKELETONS)
# Where each of the 28 joints comes from; the neck (-1) is the middle of the shoulders.
FROM_WHOLEBODY = [0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
FROM_WHOLEBODY += [95, 99, 103, 107, 111, 116, 120, 124, 128, 132]
FROM_HOLISTIC = [0, -1, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7]
FROM_HOLISTIC += [33 + tip for tip in (4, 8, 12, 16, 20)] + [54 + tip for tip in (4, 8, 12, 16, 20)]


@pytest.mark.parametrize(
    ("name", "joints"),
    [
        ("openpose28", 28),
        ("coco17", 17),
        ("coco_wholebody133", 133),
        ("mediapipe_holistic", 75),
        ("kinect20", 20),
        ("kinect25", 25),
    ],
)
def test_sizes(name: str, joints: int) -> None:
    assert skeleton(name).num_joints == len(set(skeleton(name).joints)) == joints


def test_an_unknown_layout_names_the_nearest() -> None:
    with pytest.raises(SkeletonError) as caught:
        skeleton("coco18")
    assert str(caught.value) == "unknown layout 'coco18'. Did you mean 'coco17'?"


def test_joints_are_found_by_name() -> None:
    assert skeleton("openpose28").index("left_wrist") == 7
    with pytest.raises(SkeletonError) as caught:
        skeleton("openpose28").index("left_wirst")
    assert str(caught.value) == "layout 'openpose28' has no joint 'left_wirst'. Did you mean 'left_wrist'?"


@pytest.mark.parametrize("name", LAYOUTS)
def test_bones_are_a_tree(name: str) -> None:
    layout = skeleton(name)
    assert len(layout.bones) == layout.num_joints - 1
    assert len({child for child, _ in layout.bones}) == layout.num_joints - 1
    up = np.arange(layout.num_joints)
    for _ in range(layout.num_joints):
        up = layout.parents[up]
    assert len(set(up.tolist())) == 1, "every joint leads to the one root"


@pytest.mark.parametrize("name", LAYOUTS)
def test_chains_lead_from_the_root_to_each_joint(name: str) -> None:
    layout = skeleton(name)
    for joint, chain in enumerate(layout.chains):
        bones = []
        while layout.parents[joint] != joint:
            bones.append(joint)
            joint = layout.parents[joint]
        assert np.flatnonzero(chain).tolist() == sorted(bones)
        assert set(chain.tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("name", LAYOUTS)
def test_flips_swap_sides_and_nothing_else(name: str) -> None:
    layout = skeleton(name)
    flip = layout.flip_permutation
    np.testing.assert_array_equal(flip[flip], np.arange(layout.num_joints))
    for i, joint in enumerate(layout.joints):
        mirrored = joint.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        if not joint.startswith("face_"):
            assert layout.joints[flip[i]] == mirrored
    bones = {frozenset(bone) for bone in layout.bones}
    mirrored_bones = {frozenset(flip[list(bone)].tolist()) for bone in layout.bones}
    # The root of a body without a neck is a shoulder, which a mirrored picture cannot keep.
    asymmetric = 0 if name in ("openpose28", "kinect20", "kinect25") else 4
    assert len(bones ^ mirrored_bones) <= asymmetric


def test_openpose28_is_ma52s() -> None:
    layout = skeleton("openpose28")
    bones = [
        "4-3",
        "3-2",
        "7-6",
        "6-5",
        "13-12",
        "12-11",
        "10-9",
        "9-8",
        "11-5",
        "8-2",
        "5-1",
        "2-1",
        "0-1",
        "15-0",
        "14-0",
        "17-15",
        "16-14",
    ]
    expected = {tuple(map(int, bone.split("-"))) for bone in bones}
    expected |= {(tip, 7) for tip in range(18, 23)} | {(tip, 4) for tip in range(23, 28)}
    assert set(layout.bones) == expected
    pairs = [
        (2, 5),
        (3, 6),
        (4, 7),
        (8, 11),
        (9, 12),
        (10, 13),
        (14, 15),
        (16, 17),
        *((tip, tip + 5) for tip in range(18, 23)),
    ]
    assert {frozenset(pair) for pair in layout.flip_pairs} == {frozenset(pair) for pair in pairs}


def test_wholebody_face_flips() -> None:
    """Four of the 68 face points whose partners are well known: jaw ends, brows, eye corners, mouth corners."""
    layout = skeleton("coco_wholebody133")
    for a, b in ((0, 16), (17, 26), (36, 45), (48, 54), (8, 8), (27, 27), (51, 51)):
        assert layout.joints[layout.flip_permutation[layout.index(f"face_{a}")]] == f"face_{b}"


@pytest.mark.parametrize(
    ("source", "origins"), [("coco_wholebody133", FROM_WHOLEBODY), ("mediapipe_holistic", FROM_HOLISTIC)]
)
@pytest.mark.parametrize("dims", [2, 3])
def test_mapping_to_openpose28(source: str, origins: list[int], dims: int) -> None:
    random = np.random.default_rng(0)
    joints = skeleton(source).num_joints
    keypoints = random.uniform(0, 1000, (2, 3, joints, dims)).astype(np.float32)
    scores = random.uniform(0, 1, (2, 3, joints)).astype(np.float32)
    mapped, mapped_scores = map_layout(keypoints, scores, source, "openpose28")
    direct = [i for i, origin in enumerate(origins) if origin >= 0]
    np.testing.assert_array_equal(mapped[..., direct, :], keypoints[..., [origins[i] for i in direct], :])
    np.testing.assert_array_equal(mapped_scores[..., direct], scores[..., [origins[i] for i in direct]])
    shoulders = [skeleton(source).index(f"{side}_shoulder") for side in ("left", "right")]
    np.testing.assert_allclose(mapped[..., 1, :], keypoints[..., shoulders, :].mean(-2), rtol=1e-6)
    np.testing.assert_array_equal(mapped_scores[..., 1], scores[..., shoulders].min(-1))
    assert mapped.dtype == mapped_scores.dtype == np.float32


def test_a_layout_maps_onto_itself_unchanged() -> None:
    keypoints, scores = np.ones((1, 1, 17, 2), np.float32), np.ones((1, 1, 17), np.float32)
    assert map_layout(keypoints, scores, "coco17", skeleton("coco17")) == (keypoints, scores)


def test_what_cannot_be_derived_is_an_error_or_has_score_0() -> None:
    keypoints, scores = np.ones((1, 2, 17, 2), np.float32), np.ones((1, 2, 17), np.float32)
    with pytest.raises(SkeletonError) as caught:
        map_layout(keypoints, scores, "coco17", "openpose28")
    assert str(caught.value).startswith("layout 'coco17' cannot give left_thumb_tip, left_index_tip, ")
    mapped, mapped_scores = map_layout(keypoints, scores, "coco17", "openpose28", allow_missing=True)
    assert (mapped_scores[..., :18] == 1).all()
    assert (mapped_scores[..., 18:] == 0).all()
    assert (mapped[..., 18:, :] == 0).all()


def test_keypoints_of_another_layout_are_refused() -> None:
    with pytest.raises(SkeletonError) as caught:
        map_layout(np.ones((1, 2, 18, 2), np.float32), np.ones((1, 2, 18), np.float32), "coco17", "openpose28")
    assert str(caught.value) == (
        "keypoints (1, 2, 18, 2) and scores (1, 2, 18) are not of layout 'coco17': expected (..., 17, C) and (..., 17)."
    )


@pytest.mark.parametrize("name", LAYOUTS)
def test_adjacency_equals_a_loop_over_bones(name: str) -> None:
    layout = skeleton(name)
    expected = np.zeros((layout.num_joints, layout.num_joints), np.float32)
    for child, parent in layout.bones:
        expected[child, parent] = expected[parent, child] = 1
    np.testing.assert_array_equal(adjacency(layout, self_loops=False), expected)
    with_loops = expected + np.eye(layout.num_joints)
    np.testing.assert_array_equal(adjacency(layout), with_loops)
    degree = with_loops.sum(0)
    expected = with_loops / np.sqrt(degree[:, None] * degree)
    np.testing.assert_allclose(adjacency(layout, normalise=True), expected, rtol=1e-6)


def test_the_spatial_partition_covers_the_adjacency() -> None:
    layout = skeleton("openpose28")
    parts = spatial_partition(layout)
    assert parts.shape == (3, 28, 28)
    np.testing.assert_array_equal(parts.sum(0) > 0, adjacency(layout) > 0)
    np.testing.assert_array_equal(parts[0], np.eye(28))
    np.testing.assert_allclose(parts[1].sum(0)[parts[1].any(0)], 1, rtol=1e-6)
    child, parent = layout.bones[0]
    assert parts[1][child, parent] > 0
    assert parts[1][parent, child] == 0


def test_kinect25_is_ntus() -> None:
    layout = skeleton("kinect25")
    places = {"hip_centre": 1, "neck": 3, "left_shoulder": 5, "right_hand": 12, "left_hip": 13, "right_foot": 20}
    places |= {"shoulder_centre": 21, "left_hand_tip": 22, "left_thumb": 23, "right_hand_tip": 24, "right_thumb": 25}
    assert {name: layout.index(name) + 1 for name in places} == places
    trunk = "1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11 13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19"
    hands = "22-8 23-8 24-12 25-12"
    expected = {tuple(int(joint) - 1 for joint in bone.split("-")) for bone in f"{trunk} {hands}".split()}
    assert set(map(frozenset, layout.bones)) == set(map(frozenset, expected))


@pytest.mark.parametrize(
    ("name", "hands"),
    [("coco17", 0), ("openpose28", 10), ("mediapipe_holistic", 42), ("coco_wholebody133", 42), ("kinect25", 6)],
)
def test_joints_of_hands(name: str, hands: int) -> None:
    layout = skeleton(name)
    assert layout.hands.sum() == hands
    for left, right in layout.flip_pairs:
        assert layout.hands[left] == layout.hands[right]
