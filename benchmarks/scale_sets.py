"""Keypoint sets of any size, made up in seconds: noise around one body, which costs as much to read as real people."""

from pathlib import Path

import numpy as np

from pcan_pose.atomic import atomic_write
from pcan_pose.keypoints import Header, KeypointSet, shard_name, write_shard
from pcan_pose.taxonomy import MA52

LAYOUT = "coco17"
_CLIPS_PER_SHARD = 4096
_WHOLE = "whole"


def random_set(folder: Path, clips: int, frames: int) -> Path:
    """Return the path of a set with one person in each clip, all in split ``train``; it is made if it is not there.

    Args:
        folder: Where such sets lie.
        clips: How many.
        frames: Of each clip.
    """
    path = folder / f"{clips}x{frames}"
    done = folder / f"{clips}x{frames}.{_WHOLE}"
    if done.exists():
        return path
    for shard, start in enumerate(range(0, clips, _CLIPS_PER_SHARD)):
        write_shard(path / shard_name(shard), _shard(start, min(clips - start, _CLIPS_PER_SHARD), frames))
    with atomic_write(done) as temporary:
        temporary.touch()
    return path


def _shard(first: int, clips: int, frames: int) -> KeypointSet:
    header = Header(LAYOUT, 2, "random numbers", MA52)
    joints = header.skeleton.num_joints
    random = np.random.default_rng(first)
    body = np.random.default_rng(0).normal(size=(joints, 2)).astype(np.float32)
    return KeypointSet(
        header=header,
        clip_ids=[f"clip{first + i}" for i in range(clips)],
        splits=[("train",)] * clips,
        labels=random.integers(0, MA52.num_actions, clips),
        subjects=[None] * clips,
        fps=np.full(clips, 25, np.float32),
        width=np.full(clips, 640, np.int32),
        height=np.full(clips, 480, np.int32),
        frames=np.full(clips, frames),
        persons=np.ones(clips, np.int64),
        sources=[None] * clips,
        keypoints=np.float32(300) + np.float32(100) * body + random.random((clips * frames, joints, 2), np.float32),
        scores=np.float32(1) - random.random((clips * frames, joints), np.float32) / np.float32(2),
    )
