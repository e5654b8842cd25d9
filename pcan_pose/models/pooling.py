"""Pooling of a clip's features that leaves missing joints and persons out.

Shapes: N clips, M persons, T frames, V joints, C channels.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Pool = Callable[[Tensor, Tensor], Tensor]
"""From features (N * M, C, T', V) and found joints, bool (N, M, T, V), to a tensor whose first axis is N."""


def masked_mean(features: Tensor, found: Tensor) -> Tensor:
    """Return each clip's mean feature over persons, frames and joints that were found, (N, C), at least float32.

    A joint counts at an output frame if it was found in any of the input frames that the output frame covers. A clip
    without any joint gives zeros.

    Args:
        features: (N * M, C, T', V), after any striding over time.
        found: bool (N, M, T, V).
    """
    features, mask = by_clip(features, found)
    # In bfloat16 the sum, and a count above 256, would be rounded.
    exact = torch.promote_types(features.dtype, torch.float32)
    total = (features * mask).sum((1, 3, 4), dtype=exact)  # (N, C)
    return total / mask.sum((1, 3, 4), dtype=exact).clamp(min=1)  # (N, C)


def masked_peak(features: Tensor, found: Tensor) -> Tensor:
    """Return each clip's largest feature over persons and joints, of their means over time, (N, C), at least float32.

    A joint's mean is over the frames in which it counts, as in `masked_mean`; joints never found are left out.
    A clip without any joint gives zeros.

    Args:
        features: (N * M, C, T', V), after any striding over time.
        found: bool (N, M, T, V).

    Source:
        The published code of PCAN (AAAI 2025), which embeds this in training and the mean at inference.
    """
    features, mask = by_clip(features, found)
    exact = torch.promote_types(features.dtype, torch.float32)
    counts = mask.sum(3, dtype=exact)  # (N, M, 1, V)
    means = (features * mask).sum(3, dtype=exact) / counts.clamp(min=1)  # (N, M, C, V)
    peaks = means.masked_fill(counts == 0, -torch.inf).amax((1, 3))  # (N, C)
    return torch.where(counts.sum((1, 3)) > 0, peaks, 0.0)


def mean_and_peak(features: Tensor, found: Tensor) -> Tensor:
    """Return `masked_mean` and `masked_peak` of each clip as one tensor, (N, 2, C), at least float32.

    Args:
        features: (N * M, C, T', V), after any striding over time.
        found: bool (N, M, T, V).
    """
    return torch.stack([masked_mean(features, found), masked_peak(features, found)], 1)


def by_clip(features: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features, (N, M, C, T', V), and where they count, (N, M, 1, T', V), zeros and ones."""
    clips, persons, _, joints = found.shape
    frames = features.shape[2]
    mask = found.flatten(0, 1).to(features.dtype)  # (N * M, T, V)
    if frames != mask.shape[1]:
        mask = F.adaptive_max_pool2d(mask, (frames, joints))  # (N * M, T', V)
    mask = mask.reshape(clips, persons, 1, frames, joints)
    return features.reshape(clips, persons, -1, frames, joints), mask
