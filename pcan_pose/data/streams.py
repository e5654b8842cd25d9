"""Streams of a batch: joint, bone, joint motion and bone motion, early-fused into one input tensor.

Shapes: B clips, M persons, T frames, V joints, C coordinates, S streams.
"""

import math

import torch
from torch import Tensor

from pcan_pose.config import DataConfig, Stream
from pcan_pose.data.constants import constant
from pcan_pose.skeleton import Skeleton


def input_channels(dims: int, streams: tuple[Stream, ...]) -> int:
    """Return the channels of `fuse_streams`: C for each stream, and the score."""
    return dims * len(streams) + 1


def stream_channels(dims: int, streams: tuple[Stream, ...], wanted: tuple[Stream, ...]) -> list[int]:
    """Return the positions of some streams' channels, and the score's, in the input made of all streams."""
    places = [streams.index(stream) * dims + c for stream in wanted for c in range(dims)]
    return [*places, dims * len(streams)]


def network_input(keypoints: Tensor, scores: Tensor, skeleton: Skeleton, data: DataConfig) -> Tensor:
    """Return the input of an encoder, float (B, M, T, V, S x C + 1), of sampled and augmented clips.

    Args:
        keypoints: (B, M, T, V, C), normalised.
        scores: (B, M, T, V) in [0, 1].
        skeleton: Gives each joint's parent.
        data: Says the streams, and whether each axis is stretched.
    """
    if data.scale == "axes":
        keypoints = stretch_axes(keypoints, scores)
    return fuse_streams(keypoints, scores, skeleton, data.streams)


def stretch_axes(keypoints: Tensor, scores: Tensor) -> Tensor:
    """Return the keypoints with each axis of each clip stretched to [-1, 1], (B, M, T, V, C); missing joints are 0.

    The range is taken over the clip's persons, frames and found joints; an axis without extent becomes 0. Angles
    and the aspect ratio change with the pose, which acts as an augmentation where clips were turned before.

    Args:
        keypoints: (B, M, T, V, C).
        scores: (B, M, T, V); 0 where a joint is missing.
    """
    axes = keypoints.permute(0, 4, 1, 2, 3).contiguous()  # (B, C, M, T, V), as `fuse_streams` wants them
    found = (scores > 0)[:, None]  # (B, 1, M, T, V)
    low = torch.where(found, axes, math.inf).amin((2, 3, 4), keepdim=True)  # (B, C, 1, 1, 1)
    high = torch.where(found, axes, -math.inf).amax((2, 3, 4), keepdim=True)  # (B, C, 1, 1, 1)
    half = (high - low) / 2
    stretched = (axes - (high + low) / 2) / torch.where(half > 0, half, 1)
    return torch.where(found, stretched, 0).permute(0, 2, 3, 4, 1)


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
    # Channels first: each step, and each mask of the joints, then runs over whole stretches of memory.
    axes = keypoints.permute(0, 4, 1, 2, 3).contiguous()  # (B, C, M, T, V)
    found = (scores > 0).to(axes.dtype)[:, None]  # (B, 1, M, T, V), 0 or 1
    bones, bones_found = axes, found
    if "bone" in streams or "bone_motion" in streams:
        parents = constant(tuple(skeleton.parents.tolist()), torch.int64, keypoints.device)
        bones_found = found * found.gather(-1, parents.expand(found.shape))
        bones = (axes - axes.gather(-1, parents.expand(axes.shape))) * bones_found
    parts = {
        "joint": lambda: axes * found,
        "bone": lambda: bones,
        "joint_motion": lambda: _motion(axes, found),
        "bone_motion": lambda: _motion(bones, bones_found),
    }
    channels = torch.cat([*(parts[stream]() for stream in streams), scores[:, None].to(axes.dtype)], dim=1)
    return channels.permute(0, 2, 3, 4, 1).contiguous()


def _motion(values: Tensor, found: Tensor) -> Tensor:
    """Return the difference to the next frame, (B, C, M, T, V); 0 in the last frame and where either is missing.

    Args:
        values: (B, C, M, T, V).
        found: (B, 1, M, T, V), 0 or 1.
    """
    motion = (values[..., 1:, :] - values[..., :-1, :]) * (found[..., 1:, :] * found[..., :-1, :])
    return torch.cat([motion, torch.zeros_like(values[..., :1, :])], dim=-2)
