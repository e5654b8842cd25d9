"""Augmentations of a whole batch at once, on the device, and the positions in time at which clips are sampled.

Every random number is drawn for the global batch from a seeded generator, so that a process of several can draw the
same ones and keep its own rows.

Shapes: B clips, M persons, T frames, V joints, C coordinates.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from pcan_pose.config import AugmentConfig
from pcan_pose.data.constants import constant
from pcan_pose.skeleton import Skeleton


def even_positions(batch: int, frames: int, device: torch.device | str = "cpu", taken: Tensor | None = None) -> Tensor:
    """Return the positions of `frames` frames at even distances over the whole clip, float32 (B, T) in [0, 1].

    Args:
        batch: B.
        frames: T.
        device: Where to.
        taken: (B, 1), how many of the T frames a padded clip takes, at least 2; the others lie above 1.
    """
    if taken is None:
        return torch.linspace(0, 1, frames, device=device).expand(batch, frames)
    return torch.arange(frames, device=device) / (taken - 1)


def frames_taken(lengths: Tensor, frames: int, pace: Tensor | float = 1.0) -> Tensor:
    """Return how many of T sampled frames a padded clip takes, its own number unless that is more, float32 (B, 1).

    Args:
        lengths: int64 (B,), frames of the clips.
        frames: T, at least 2.
        pace: (B, 1), frames to take for each frame of the clip.
    """
    return (lengths[:, None] * pace).round().clamp(2, frames)


def random_positions(
    batch: int,
    frames: int,
    config: AugmentConfig,
    generator: torch.Generator,
    *,
    rows: slice = slice(None),
    lengths: Tensor | None = None,
) -> Tensor:
    """Return positions of frames in a random crop of each clip, float32 (B, T), sorted, in [0, 1].

    Args:
        batch: Clips of the global batch.
        frames: T.
        config: How long the crops are, and how frames lie in them.
        generator: Random numbers are drawn for the global batch.
        rows: Which clips of the global batch are wanted, B.
        lengths: int64 (B,), frames of the clips if short ones are padded: what such a clip does not take lies above 1.
    """
    device = generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=generator, device=device)[rows]

    shortest, longest = config.crop
    length = shortest + (longest - shortest) * uniform(1)
    start = (1 - length) * uniform(1)
    anywhere = uniform(frames) if config.resampling == "random" else None
    taken = None
    if lengths is not None:
        pace = length * (1 + config.tempo) ** (2 * uniform(1) - 1) if config.tempo else length
        taken = frames_taken(lengths, frames, pace)
    if anywhere is None:
        positions = even_positions(len(length), frames, device, taken)
    elif taken is None:
        positions = anywhere.sort(dim=1).values
    else:
        positions = torch.where(torch.arange(frames, device=device) < taken, anywhere, 2).sort(dim=1).values
    inside = start + length * positions
    return inside if taken is None else torch.where(positions > 1, positions, inside.clamp(max=1))


def blank(keypoints: Tensor, scores: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
    """Return sampled clips without what was sampled for their padding: keypoints and scores are 0 there.

    Args:
        keypoints: (B, M, T, V, C).
        scores: (B, M, T, V).
        padding: bool (B, T).
    """
    padding = padding[:, None, :, None]  # (B, 1, T, 1)
    return keypoints.masked_fill(padding[..., None], 0.0), scores.masked_fill(padding, 0.0)


def augment(
    keypoints: Tensor,
    scores: Tensor,
    skeleton: Skeleton,
    config: AugmentConfig,
    generator: torch.Generator,
    *,
    rows: slice = slice(None),
    batch: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the batch with every augmentation of the configuration applied, each clip with its own random numbers.

    Args:
        keypoints: float32 (B, M, T, V, C), normalised.
        scores: float32 (B, M, T, V).
        skeleton: Gives the joints that a mirrored clip swaps.
        config: What to do.
        generator: On the tensors' device; random numbers are drawn for the global batch.
        rows: Which clips of the global batch these are.
        batch: Clips of the global batch; None says that these are all; 1 gives every clip the same random numbers.
    """
    clips, _, _, joints, dims = keypoints.shape
    device = keypoints.device
    drawn = clips if batch is None else batch

    def uniform(*shape: int) -> Tensor:
        return torch.rand(drawn, *shape, generator=generator, device=device)[rows]

    if config.flip:
        mirrored = uniform() < config.flip
        swap = constant(tuple(skeleton.flip_permutation.tolist()), torch.int64, device)
        sign = constant((-1, *[1] * (dims - 1)), torch.float32, device)
        choose = mirrored[:, None, None, None]
        keypoints = torch.where(choose[..., None], keypoints[..., swap, :] * sign, keypoints)
        scores = torch.where(choose, scores[..., swap], scores)
    identity = torch.eye(dims, device=device)
    matrix = identity.expand(clips, dims, dims)
    if any(config.rotation):
        limits = constant(config.rotation, torch.float32, device) * (math.pi / 180)
        matrix = rotation_matrices((2 * uniform(3) - 1) * limits, dims) @ matrix
    if config.shear:
        matrix = (identity + (2 * uniform(dims, dims) - 1) * config.shear * (1 - identity)) @ matrix
    if config.scale:
        matrix = matrix * (1 + config.scale * (2 * uniform(1, 1) - 1))
    if any(config.rotation) or config.shear or config.scale:
        keypoints = torch.einsum("nmtvc,ndc->nmtvd", keypoints, matrix)
    if config.noise:
        noise = torch.randn(drawn, *keypoints.shape[1:], generator=generator, device=device)[rows]
        keypoints = keypoints + config.noise * noise * (scores > 0)[..., None]
    if config.bone_noise:
        changes = torch.randn(drawn, *keypoints.shape[1:2], 1, joints, dims, generator=generator, device=device)[rows]
        changes = changes * (config.bone_noise * _bone_lengths(keypoints, scores, skeleton))[..., None]
        # A joint moves with all bones between it and the root.
        keypoints = keypoints + _chains(skeleton, device) @ changes * (scores > 0)[..., None]
    if config.joint_dropout:
        kept = uniform(1, 1, joints) >= config.joint_dropout
        scores = scores * kept
        keypoints = keypoints * kept[..., None]
    return keypoints, scores


def _bone_lengths(keypoints: Tensor, scores: Tensor, skeleton: Skeleton) -> Tensor:
    """Return the mean length of each joint's bone to its parent in the frames that have both, (B, M, 1, V), or 0."""
    parents = constant(tuple(skeleton.parents.tolist()), torch.int64, keypoints.device)
    both = (scores > 0) & (scores[..., parents] > 0)
    lengths = torch.linalg.vector_norm(keypoints - keypoints[..., parents, :], dim=-1) * both
    return lengths.sum(2, keepdim=True) / both.sum(2, keepdim=True).clamp(min=1)


@lru_cache(maxsize=16)
def _chains(skeleton: Skeleton, device: torch.device) -> Tensor:
    """Return `Skeleton.chains` on a device, (V, V), the same tensor each time: it must not be changed in place."""
    with torch.inference_mode(False):
        return torch.tensor(skeleton.chains, device=device)


def rotation_matrices(angles: Tensor, dims: int) -> Tensor:
    """Return rotations R_z R_y R_x, float (B, C, C); in two dimensions the one about z.

    Args:
        angles: (B, 3) in radians, about x, y and z.
        dims: 2 or 3.
    """
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(1), angles.sin().unbind(1)
    if dims == 2:
        return torch.stack([torch.stack([cz, -sz], 1), torch.stack([sz, cz], 1)], 1)
    one, zero = torch.ones_like(cx), torch.zeros_like(cx)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, 1).view(-1, 3, 3)

    about_x = matrix(one, zero, zero, zero, cx, -sx, zero, sx, cx)
    about_y = matrix(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    about_z = matrix(cz, -sz, zero, sz, cz, zero, zero, zero, one)
    return about_z @ about_y @ about_x
