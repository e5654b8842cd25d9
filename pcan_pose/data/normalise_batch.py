"""Normalisation and sampling of a batch of whole clips in torch, for networks that leave this library.

Shapes: B clips, M persons, F frames of a clip, T sampled frames, R = M * F rows of a clip, V joints, C coordinates.
"""

import torch
from torch import Tensor

from pcan_pose.config import DataConfig
from pcan_pose.data.dataset import snapped
from pcan_pose.skeleton import Skeleton


def normalise_batch(keypoints: Tensor, scores: Tensor, skeleton: Skeleton, data: DataConfig) -> Tensor:
    """Return keypoints (B, M, F, V, C) with the body at the origin and, on request, of size one; missing joints are 0.

    See `pcan_pose.data.normalise.normalise`, which does the same to the clips of a set, whatever their lengths.

    Args:
        keypoints: float (B, M, F, V, C), clips of one length as they were extracted, all frames.
        scores: float (B, M, F, V); 0 where a joint or a person is missing.
        skeleton: The joints that give origin and size.
        data: Says the origin, whether to divide by the size, and whether 3-D clips are turned.
    """
    shape = keypoints.shape
    found = (scores > 0).flatten(1, 2)  # (B, R, V)
    keypoints = torch.where(found[..., None], keypoints.flatten(1, 2), 0)  # (B, R, V, C)
    origin, has_origin = _group_mean(keypoints, found, skeleton.centre)  # (B, R, C), (B, R)
    anywhere, has_any = _group_mean(keypoints, found, tuple(range(skeleton.num_joints)), every=False)
    if data.centre == "frame":
        origin = torch.where(has_origin[..., None], origin, anywhere)
    else:
        if data.centre == "first_frame":
            has_origin = has_origin & (has_origin.long().cumsum(1) == 1)
        mean, filled = _row_mean(origin, has_origin)  # (B, 1, C), (B, 1, 1)
        fallback, _ = _row_mean(anywhere, has_any)
        origin = torch.where(filled, mean, fallback)
    keypoints = keypoints - origin[:, :, None]
    if data.face_camera and shape[-1] == 3:
        keypoints = _turned(keypoints, found, skeleton)
    if data.scale == "body":
        keypoints = keypoints / _sizes(keypoints, found, skeleton)[:, None, None, None]
    return torch.where(found[..., None], keypoints, 0).reshape(shape)


def sample_evenly(keypoints: Tensor, scores: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Return clips of one length at fractional positions in time, (B, M, T, V, C) and (B, M, T, V).

    See `pcan_pose.data.dataset.RaggedClips.sample`, which does the same to clips of any lengths.

    Args:
        keypoints: (B, M, F, V, C).
        scores: (B, M, F, V).
        positions: float32 (T,) in [0, 1], from the first to the last frame.
    """
    last = keypoints.shape[2] - 1
    place = snapped(positions * last)  # (T,)
    before = place.floor().long()  # (T,)
    after = (before + 1).clamp(max=last)  # (T,)
    weight = (place - before)[:, None]  # (T, 1)
    scores_before, scores_after = scores[:, :, before], scores[:, :, after]  # (B, M, T, V)
    weight = torch.where(scores_before > 0, torch.where(scores_after > 0, weight, 0.0), weight.sign())  # (B, M, T, V)
    sampled = scores_before + weight * (scores_after - scores_before)  # (B, M, T, V)
    one, other = keypoints[:, :, before], keypoints[:, :, after]  # (B, M, T, V, C)
    between = one + weight[..., None] * (other - one)  # (B, M, T, V, C)
    return torch.where((sampled > 0)[..., None], between, 0), sampled


def _group_mean(
    keypoints: Tensor, found: Tensor, group: tuple[int, ...], *, every: bool = True
) -> tuple[Tensor, Tensor]:
    """Return the mean (B, R, C) of a group's joints and in which rows (B, R) it is: where all (or any) are found."""
    joints = list(group)
    counts = found[..., joints].sum(-1)  # (B, R)
    # What is missing is 0 already.
    total = keypoints[..., joints, :].sum(-2)  # (B, R, C)
    return total / counts.clamp(min=1)[..., None], counts == len(joints) if every else counts > 0


def _row_mean(values: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of a clip's usable rows, (B, 1, C), and whether there are any, (B, 1, 1)."""
    counts = usable.sum(1)[:, None, None]  # (B, 1, 1)
    return (values * usable[..., None]).sum(1, keepdim=True) / counts.clamp(min=1), counts > 0


def _turned(centred: Tensor, found: Tensor, skeleton: Skeleton) -> Tensor:
    """Return the keypoints (B, R, V, 3), each clip turned about y by one angle; one without shoulders stays."""
    left, right = skeleton.index("left_shoulder"), skeleton.index("right_shoulder")
    across = centred[:, :, right] - centred[:, :, left]  # (B, R, 3)
    mean, _ = _row_mean(across, found[..., left] & found[..., right])  # (B, 1, 3)
    x, _, z = mean.unbind(-1)  # (B, 1)
    length = (x * x + z * z).sqrt()
    cos = torch.where(length > 0, x / length, 1)[..., None]  # (B, 1, 1)
    sin = torch.where(length > 0, z / length, 0)[..., None]  # (B, 1, 1)
    x, y, z = centred.unbind(-1)  # (B, R, V)
    return torch.stack([cos * x + sin * z, y, cos * z - sin * x], -1)


def _sizes(centred: Tensor, found: Tensor, skeleton: Skeleton) -> Tensor:
    """Return the body's size of each clip, (B,): the median distance between the first pair of groups that it has."""
    square = (centred.square().sum(-1) * found).sum((1, 2))  # (B,)
    sizes = (square / found.sum((1, 2)).clamp(min=1)).sqrt()  # (B,)
    # From the last choice to the first: what a clip has of an earlier pair takes the place of the later ones.
    for one, other in reversed(skeleton.scale):
        a, has_a = _group_mean(centred, found, one)
        b, has_b = _group_mean(centred, found, other)
        length = (a - b).square().sum(-1).sqrt()  # (B, R)
        median, has = _row_median(length, has_a & has_b & (length > 0))
        sizes = torch.where(has, median, sizes)
    return torch.where(sizes > 0, sizes, 1)


def _row_median(values: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    """Return the median of a clip's usable rows, (B,), and whether there are any, (B,)."""
    ordered = torch.where(usable, values, torch.inf).sort(1).values  # (B, R)
    counts = usable.sum(1, keepdim=True)  # (B, 1)
    low = ordered.gather(1, (counts - 1).clamp(min=0) // 2)  # (B, 1)
    # Of an empty clip the first row, which is not used.
    high = ordered.gather(1, torch.where(counts > 0, counts // 2, 0))  # (B, 1)
    return ((low + high) / 2)[:, 0], counts[:, 0] > 0
