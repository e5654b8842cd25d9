"""Augmentations that change bones: each by chance, or towards the bones of another clip of the same action.

Shapes: N clips of the set, B clips of a batch, M persons, T frames, V joints, C coordinates.
"""

from functools import lru_cache

import torch
from torch import Tensor

from pcan_pose.data.constants import constant
from pcan_pose.data.dataset import Sample
from pcan_pose.skeleton import Skeleton


class Partners:
    """For each clip the others with its label, to draw one of them.

    Args:
        labels: int64 (N,), each at least 0.
    """

    def __init__(self, labels: Tensor) -> None:
        _, groups, counts = torch.unique(labels, return_inverse=True, return_counts=True)
        self._order = groups.argsort(stable=True)  # (N,), clips of a group side by side
        self._first = (counts.cumsum(0) - counts)[groups]  # (N,), where a clip's group starts there
        self._count = counts[groups]  # (N,)
        self._place = torch.empty_like(groups)  # (N,), a clip's place in its group
        self._place[self._order] = torch.arange(len(groups), device=labels.device) - self._first[self._order]

    def draw(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """Return another clip with the same label for each clip, or the clip itself if there is none, int64 (K,).

        Args:
            clips: int64 (K,), of all processes together, so that each draws the same.
            generator: On the labels' device.
        """
        count = self._count[clips]
        others = (count - 1).clamp(min=1)
        drawn = (torch.rand(len(clips), generator=generator, device=clips.device) * others).long()
        drawn = drawn + ((drawn >= self._place[clips]) & (count > 1))  # not the clip itself
        return self._order[self._first[clips] + drawn]


def mix_bones(sample: Sample, other: Sample, skeleton: Skeleton, shares: Tensor) -> Tensor:
    """Return keypoints whose mean bones are moved towards those of other clips, (B, M, T, V, C).

    A bone's mean over a clip holds the person's build and how this camera and estimator see it, the changes around it
    the motion, which stays. The other clip is first turned as a whole, about the vertical in three dimensions and in
    the picture in two, so that its mean bones fit best. A bone that either clip lacks keeps its own mean.

    Args:
        sample: The clips.
        other: A clip for each, sampled at the same positions.
        skeleton: Gives each joint's parent.
        shares: (B,), how much of the way to go; below 0 leads away.
    """
    means, has_mean = _mean_bones(sample, skeleton)  # (B, M, V, C), (B, M, V)
    others, has_other = _mean_bones(other, skeleton)
    both = (has_mean & has_other)[..., None]  # (B, M, V, 1)
    first, second = 0, means.shape[-1] - 1  # the axes of the plane of turning: x and y, or x and z
    x, y = ((means * both)[..., axis] for axis in (first, second))  # (B, M, V) each
    u, v = ((others * both)[..., axis] for axis in (first, second))
    # The angle that maximises the sum of the products of both clips' bones, one for all persons.
    angle = torch.atan2((x * v - y * u).sum((1, 2)), (x * u + y * v).sum((1, 2)))[:, None, None]  # (B, 1, 1)
    cos, sin = angle.cos(), angle.sin()
    turned = others.clone()
    turned[..., first] = cos * others[..., first] + sin * others[..., second]
    turned[..., second] = cos * others[..., second] - sin * others[..., first]
    changes = shares[:, None, None, None] * (turned - means) * both  # (B, M, V, C)
    return move_joints(sample, changes, skeleton)


def add_bone_noise(sample: Sample, noise: Tensor, skeleton: Skeleton) -> Tensor:
    """Return keypoints with each bone changed by a multiple of its mean length, (B, M, T, V, C).

    Args:
        sample: The clips.
        noise: (B, M, V, C), changes in lengths of the bone.
        skeleton: Gives each joint's parent.
    """
    parents = constant(tuple(skeleton.parents.tolist()), torch.int64, noise.device)
    both = (sample.scores > 0) & (sample.scores[..., parents] > 0)  # (B, M, T, V)
    lengths = torch.linalg.vector_norm(sample.keypoints - sample.keypoints[..., parents, :], dim=-1) * both
    lengths = lengths.sum(2) / both.sum(2).clamp(min=1)  # (B, M, V)
    return move_joints(sample, noise * lengths[..., None], skeleton)


def move_joints(sample: Sample, changes: Tensor, skeleton: Skeleton) -> Tensor:
    """Return keypoints with bones changed, (B, M, T, V, C): a joint moves with all bones between it and the root.

    Args:
        sample: The clips; missing joints stay where they are.
        changes: (B, M, V, C), what is added to each joint's bone in every frame.
        skeleton: Gives the bones between a joint and the root.
    """
    moved = _chains(skeleton, changes.device).to(changes.dtype) @ changes  # (B, M, V, C)
    return sample.keypoints + moved[:, :, None] * (sample.scores > 0)[..., None]


def _mean_bones(sample: Sample, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Return each bone's mean over the frames that have both its ends, (B, M, V, C), or 0, and where there are any."""
    parents = constant(tuple(skeleton.parents.tolist()), torch.int64, sample.keypoints.device)
    both = (sample.scores > 0) & (sample.scores[..., parents] > 0)  # (B, M, T, V)
    bones = (sample.keypoints - sample.keypoints[..., parents, :]) * both[..., None]
    count = both.sum(2)  # (B, M, V)
    return bones.sum(2) / count.clamp(min=1)[..., None], count > 0


@lru_cache(maxsize=16)
def _chains(skeleton: Skeleton, device: torch.device) -> Tensor:
    """Return `Skeleton.chains` on a device, (V, V), the same tensor each time: it must not be changed in place."""
    with torch.inference_mode(False):
        return torch.tensor(skeleton.chains, device=device)
