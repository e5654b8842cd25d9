import numpy as np
import pytest

from pcan_pose.config import Centre
from pcan_pose.data.normalise import normalise
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.skeleton import Skeleton, skeleton


def random_set(layout: str, dims: int, missing: float, seed: int = 0) -> KeypointSet:
    rng = np.random.default_rng(seed)
    joints = skeleton(layout).num_joints
    clips = []
    for i, (persons, frames) in enumerate([(1, 6), (2, 5), (1, 1), (1, 9)]):
        keypoints = rng.normal(size=(persons, frames, joints, dims)) * 50 + rng.uniform(100, 900, dims)
        scores = rng.uniform(0.1, 1, (persons, frames, joints)) * (rng.random((persons, frames, joints)) >= missing)
        # What an estimator leaves in the coordinates of a joint it did not find must not matter.
        keypoints[scores == 0] = -1e6
        clips.append(Clip(f"c{i}", keypoints.astype(np.float32), scores.astype(np.float32)))
    return KeypointSet.from_clips(Header(layout, dims, "test"), clips)


def naive(clip: Clip, layout: Skeleton, centre: Centre, scale: bool) -> np.ndarray:
    """Normalise one clip in plain loops."""
    keypoints = clip.keypoints.astype(np.float64).reshape(-1, layout.num_joints, clip.keypoints.shape[-1])
    found = clip.scores.reshape(-1, layout.num_joints) > 0
    rows = range(len(keypoints))

    def group(row: int, joints: tuple[int, ...]) -> np.ndarray | None:
        return keypoints[row, list(joints)].mean(0) if all(found[row, v] for v in joints) else None

    def anywhere(row: int) -> np.ndarray | None:
        return keypoints[row, found[row]].mean(0) if found[row].any() else None

    middles = [group(row, layout.centre) for row in rows]
    if centre == "frame":
        origins = [next((x for x in (middles[row], anywhere(row)) if x is not None), np.zeros(2)) for row in rows]
    else:
        known = [x for x in middles if x is not None] or [x for x in map(anywhere, rows) if x is not None]
        if centre == "first_frame" and any(x is not None for x in middles):
            known = known[:1]
        origins = [np.mean(known, axis=0)] * len(keypoints)
    keypoints -= np.stack(origins)[:, None]
    size = None
    for one, other in layout.scale:
        ends = [(group(row, one), group(row, other)) for row in rows]
        lengths = [np.linalg.norm(a - b) for a, b in ends if a is not None and b is not None]
        if size is None and lengths:
            size = np.median(lengths)
    if size is None:
        size = np.sqrt(np.mean(np.sum(keypoints[found] ** 2, axis=-1)))
    if scale:
        keypoints /= size
    keypoints[~found] = 0
    return keypoints.reshape(clip.keypoints.shape)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("centre", ["first_frame", "clip", "frame"])
@pytest.mark.parametrize(("layout", "dims"), [("coco17", 2), ("openpose28", 2), ("kinect20", 3)])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_equals_a_naive_loop(layout: str, dims: int, centre: Centre, scale: bool, missing: float) -> None:
    keypoint_set = random_set(layout, dims, missing)
    keypoints, scores = normalise(keypoint_set, centre=centre, scale=scale)
    assert keypoints.dtype == scores.dtype == np.float32
    assert keypoints.shape == keypoint_set.keypoints.shape
    np.testing.assert_array_equal(scores, keypoint_set.scores)
    for i, clip in enumerate(keypoint_set.clips()):
        mine = keypoints[keypoint_set.offsets[i] : keypoint_set.offsets[i + 1]].reshape(clip.keypoints.shape)
        expected = naive(clip, keypoint_set.header.skeleton, centre, scale)
        np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-3 if scale else 1e-2)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_aspect_ratio_and_all_angles_stay(dims: int) -> None:
    keypoint_set = random_set("coco17", dims, 0.2)
    keypoints, _ = normalise(keypoint_set)
    for i in range(len(keypoint_set)):
        rows = slice(keypoint_set.offsets[i], keypoint_set.offsets[i + 1])
        found = keypoint_set.scores[rows] > 0
        before, after = keypoint_set.keypoints[rows][found], keypoints[rows][found]
        distances = np.linalg.norm(before[1:] - before[:-1], axis=-1)
        ratios = np.linalg.norm(after[1:] - after[:-1], axis=-1) / distances
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)


def test_place_and_size_in_the_picture_do_not_matter() -> None:
    keypoint_set = random_set("coco17", 2, 0.2)
    moved = [
        Clip(clip.clip_id, clip.keypoints * np.float32(1.7) + np.float32(33), clip.scores)
        for clip in keypoint_set.clips()
    ]
    other = KeypointSet.from_clips(keypoint_set.header, moved)
    np.testing.assert_allclose(normalise(other)[0], normalise(keypoint_set)[0], atol=2e-3)


def test_clips_do_not_touch_each_other() -> None:
    keypoint_set = random_set("coco17", 2, 0.3)
    whole, _ = normalise(keypoint_set)
    for i in range(len(keypoint_set)):
        alone, _ = normalise(keypoint_set.select([i]))
        np.testing.assert_allclose(alone, whole[keypoint_set.offsets[i] : keypoint_set.offsets[i + 1]], atol=1e-5)


def test_the_origin_is_on_the_centre_joints() -> None:
    keypoint_set = random_set("coco17", 2, 0.0)
    layout = keypoint_set.header.skeleton
    centred, _ = normalise(keypoint_set, centre="frame")
    np.testing.assert_allclose(centred[:, layout.centre].mean(1), 0, atol=1e-4)
    first, _ = normalise(keypoint_set, centre="first_frame")
    np.testing.assert_allclose(first[keypoint_set.offsets[:-1]][:, layout.centre].mean(1), 0, atol=1e-4)
    clip, _ = normalise(keypoint_set, centre="clip")
    middles = clip[:, layout.centre].mean(1)
    np.testing.assert_allclose(
        [middles[a:b].mean(0) for a, b in zip(keypoint_set.offsets, keypoint_set.offsets[1:], strict=False)],
        0,
        atol=1e-4,
    )


@pytest.mark.parametrize("centre", ["first_frame", "clip", "frame"])
def test_clips_with_next_to_nothing_stay_finite(centre: Centre) -> None:
    nothing = np.zeros((1, 3, 17), np.float32)
    one = nothing.copy()
    one[0, 1, 9] = 0.5
    rest = np.full((1, 3, 17, 2), np.nan, np.float32)
    some = rest.copy()
    some[0, 1, 9] = (640, 360)
    same = np.full((1, 3, 17, 2), 7, np.float32)
    clips = [Clip("nothing", rest, nothing), Clip("one joint", some, one), Clip("one place", same, nothing + 1)]
    keypoint_set = KeypointSet.from_clips(Header("coco17", 2, "test"), clips)
    keypoints, _ = normalise(keypoint_set, centre=centre)
    np.testing.assert_array_equal(keypoints, np.zeros((9, 17, 2)))


def test_a_set_without_clips() -> None:
    empty = KeypointSet.from_clips(Header("coco17", 2, "test"), [])
    assert normalise(empty)[0].shape == (0, 17, 2)


def test_turned_clips_have_their_shoulders_along_x_and_keep_their_shape() -> None:
    generator = np.random.default_rng(4)
    header = Header("kinect20", 3, "test")
    clips = [
        Clip(f"c{i}", generator.normal(size=(1, 6, 20, 3)).astype(np.float32), np.ones((1, 6, 20), np.float32))
        for i in range(3)
    ]
    clips[2].scores[..., header.skeleton.index("left_shoulder")] = 0
    keypoint_set = KeypointSet.from_clips(header, clips)
    straight, _ = normalise(keypoint_set)
    turned, _ = normalise(keypoint_set, face_camera=True)
    left, right = header.skeleton.index("left_shoulder"), header.skeleton.index("right_shoulder")
    for i in range(2):
        x, _, z = (turned[i * 6 : i * 6 + 6, right] - turned[i * 6 : i * 6 + 6, left]).mean(0)
        assert x > 0
        assert abs(z) < 1e-5
    # A turn about y keeps heights and distances, and a clip without a shoulder is left alone.
    np.testing.assert_array_equal(turned[..., 1], straight[..., 1])
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(straight, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(turned[12:], straight[12:])
