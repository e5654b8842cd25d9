"""Streams of a batch: joint, bone, joint motion and bone motion, early-fused into one input tensor.

Shapes: B clips, M persons, T frames, V joints, C coordinates, S streams.
"""

import torch
from torch import Tensor

from pcan_pose.config import Stream
from pcan_pose.skeleton import Skeleton


def input_channels(dims: int, streams: tuple[Stream, ...]) -> int:
    """Return the channels of `fuse_streams`: C for each stream, and the score."""
    return dims * len(streams) + 1


def fuse_streams(keypoints: Tensor, scores: Tensor, skeleton: Skeleton, streams: tuple[Stream, ...]) -> Tensor:
    """Return the input of an encoder, float (B, M, T, V, S x C + 1): the streams and the joints' scores.

    A bone is the joint minus its parent; a motion is the next frame minus this one, 0 in the last frame. A difference
    with a missing joint (score 0) is 0.

    Args:
        keypoints: (B, M, T, V, C), normalised.
        scores: (B, M, T, V) in [0, 1].
        skeleton: Gives each joint's parent.
        streams: Which streams, in the order of the channels.
    """
    found = (scores > 0)[..., None]  # (B, M, T, V, 1)
    bones, bones_found = keypoints, found
    if "bone" in streams or "bone_motion" in streams:
        parents = torch.as_tensor(skeleton.parents, device=keypoints.device)
        bones_found = found & found[..., parents, :]
        bones = (keypoints - keypoints[..., parents, :]) * bones_found
    parts = {
        "joint": lambda: keypoints * found,
        "bone": lambda: bones,
        "joint_motion": lambda: _motion(keypoints, found),
        "bone_motion": lambda: _motion(bones, bones_found),
    }
    return torch.cat([*(parts[stream]() for stream in streams), scores[..., None].to(keypoints.dtype)], dim=-1)


def _motion(values: Tensor, found: Tensor) -> Tensor:
    """Return the difference to the next frame, (B, M, T, V, C); 0 in the last frame and where either is missing."""
    both = found[:, :, 1:] & found[:, :, :-1]
    motion = torch.zeros_like(values)
    motion[:, :, :-1] = (values[:, :, 1:] - values[:, :, :-1]) * both
    return motion
