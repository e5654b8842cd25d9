"""Boxes around people: what they hold, and what they leave out."""

import numpy as np
import pytest

from pcan_pose.clips import Clip, Header
from pcan_pose.data.rgb.boxes import clip_boxes
from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet


def a_set(*clips: tuple[np.ndarray, np.ndarray]) -> KeypointSet:
    """Return a set of clips (M, T, 17, 2) and (M, T, 17)."""
    named = [
        Clip(f"c{i}", points.astype(np.float32), found.astype(np.float32)) for i, (points, found) in enumerate(clips)
    ]
    return KeypointSet.from_clips(Header("coco17", 2, "test"), named)


def naive(points: np.ndarray, found: np.ndarray, margin: float) -> np.ndarray:
    """Return one clip's box, frame by frame."""
    lows, highs = [], []
    for person, there in zip(points, found > 0, strict=True):
        for frame, seen in zip(person, there, strict=True):
            if seen.any():
                lows.append(frame[seen].min(0))
                highs.append(frame[seen].max(0))
    low = np.quantile(np.array(lows, np.float64), 0.02, axis=0, method="nearest")
    high = np.quantile(np.array(highs, np.float64), 0.98, axis=0, method="nearest")
    side = max((high - low).max() * (1 + margin), 32)
    return np.array([*((low + high - side) / 2), side])


def test_boxes_equal_the_naive_ones() -> None:
    random = np.random.default_rng(0)
    clips = [
        (
            random.uniform(0, 500, (persons, frames, 17, 2)),
            random.random((persons, frames, 17)) * (random.random((persons, frames, 17)) < 0.7),
        )
        for persons, frames in ((1, 60), (2, 9), (1, 1), (3, 101))
    ]
    boxes = clip_boxes(a_set(*clips), 0.3)
    np.testing.assert_allclose(
        boxes, [naive(points.astype(np.float32), found, 0.3) for points, found in clips], rtol=1e-6
    )


def test_one_wild_frame_does_not_count_and_a_short_movement_does() -> None:
    points = np.broadcast_to(np.linspace(100, 300, 17)[:, None], (1, 100, 17, 2)).copy()
    found = np.ones((1, 100, 17))
    points[0, 50, 4] = 5000
    np.testing.assert_allclose(clip_boxes(a_set((points, found)), 0), [[100, 100, 200]])
    points[0, 50:55, 4] = 600
    np.testing.assert_allclose(clip_boxes(a_set((points, found)), 0), [[100, 100, 500]])


def test_missing_joints_and_people() -> None:
    points = np.broadcast_to(np.linspace(100, 300, 17)[:, None], (2, 5, 17, 2)).copy()
    points[1] += 400
    found = np.ones((2, 5, 17))
    found[1] = 0
    nobody, one = np.zeros((2, 5, 17)), np.zeros((2, 5, 17))
    one[0, 0, 0] = 1
    boxes = clip_boxes(a_set((points, nobody), (points, found), (points, one), (points, found * 0 + 1)), 0)
    assert np.isnan(boxes[0]).all()
    np.testing.assert_allclose(boxes[1:], [[100, 100, 200], [84, 84, 32], [100, 100, 600]])


def test_metres_are_refused() -> None:
    clip = Clip("c", np.zeros((1, 2, 20, 3), np.float32), np.ones((1, 2, 20), np.float32))
    with pytest.raises(DataError, match="keypoints in 3-D have no place in a picture; crops need 2-D pixels"):
        clip_boxes(KeypointSet.from_clips(Header("kinect20", 3, "test"), [clip]))
