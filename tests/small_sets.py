"""Small keypoint sets that several tests use."""

from typing import Any

import numpy as np

from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.taxonomy import Taxonomy

TREE = Taxonomy("tree", ("nod", "shake", "wave"), ("head", "hand"), (0, 0, 1))


def clip(name: str, *, layout: str = "coco17", dims: int = 2, persons: int = 1, frames: int = 3, **change: Any) -> Clip:
    """Return a clip of random keypoints inside its picture; the name seeds them."""
    joints = Header(layout, dims, "none").skeleton.num_joints
    random = np.random.default_rng(list(name.encode()))
    keypoints = random.uniform(1, 99, (persons, frames, joints, dims)).astype(np.float32)
    scores = random.uniform(0.5, 1, (persons, frames, joints)).astype(np.float32)
    fields = {"keypoints": keypoints, "scores": scores, "width": 100, "height": 100, **change}
    return Clip(clip_id=name, **fields)


def header(*, layout: str = "coco17", dims: int = 2, taxonomy: Taxonomy | None = TREE, **extra: str) -> Header:
    return Header(layout, dims, "made up 1.0", taxonomy, extra)


def small_set(*clips: Clip, **header_change: Any) -> KeypointSet:
    return KeypointSet.from_clips(header(**header_change), clips)


def assert_equal_sets(got: KeypointSet, expected: KeypointSet) -> None:
    """Compare everything that a set holds."""
    assert got.header == expected.header
    for name in ("clip_ids", "splits", "subjects", "sources"):
        assert getattr(got, name) == getattr(expected, name), name
    for name in ("labels", "fps", "width", "height", "frames", "persons", "keypoints", "scores", "offsets"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)
        assert getattr(got, name).dtype == getattr(expected, name).dtype, name
