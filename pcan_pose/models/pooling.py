"""Pooling of a clip's features that leaves missing joints and persons out.

Shapes: N clips, M persons, T frames, V joints, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_mean(features: Tensor, found: Tensor) -> Tensor:
    """Return each clip's mean feature over persons, frames and joints that were found, (N, C), at least float32.

    A joint counts at an output frame if it was found in any of the input frames that the output frame covers. A clip
    without any joint gives zeros.

    Args:
        features: (N * M, C, T', V), after any striding over time.
        found: bool (N, M, T, V).
    """
    clips, persons, _, joints = found.shape
    frames = features.shape[2]
    mask = found.flatten(0, 1).to(features.dtype)  # (N * M, T, V)
    if frames != mask.shape[1]:
        mask = F.adaptive_max_pool2d(mask, (frames, joints))  # (N * M, T', V)
    mask = mask.reshape(clips, persons, 1, frames, joints)
    features = features.reshape(clips, persons, -1, frames, joints)
    # In bfloat16 the sum, and a count above 256, would be rounded.
    exact = torch.promote_types(features.dtype, torch.float32)
    total = (features * mask).sum((1, 3, 4), dtype=exact)  # (N, C)
    return total / mask.sum((1, 3, 4), dtype=exact).clamp(min=1)  # (N, C)
