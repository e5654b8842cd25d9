"""Temporal shift: frames see their neighbours through some of their channels, at no arithmetic.

Shapes: N clips, T frames, C channels, H rows, W columns. Tensors are (N * T, C, H, W) with the channels last in memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def temporal_shift(x: Tensor, frames: int, fold: int = 8) -> Tensor:
    """Return the features with C // fold channels of the next frame and as many of the one before, (N * T, C, H, W).

    Before the first and after the last frame there are zeros. Meant for the inside of a residual branch, so that each
    frame keeps what is its own.

    Args:
        x: (N * T, C, H, W).
        frames: T.
        fold: One channel in so many is moved, in each direction.

    Source: Lin, Gan and Han, TSM: Temporal Shift Module for Efficient Video Understanding, ICCV 2019.
    """
    # Channels last in five dimensions too, where the kernels know no such format: views, until the one copy at the end.
    clips = torch.unflatten(x.permute(0, 2, 3, 1), 0, (-1, frames))  # (N, T, H, W, C)
    moved = x.shape[1] // fold
    unpadded = (0, 0, 0, 0, 0, 0)  # C, W, H
    after = F.pad(clips[:, 1:, ..., :moved], (*unpadded, 0, 1))
    before = F.pad(clips[:, :-1, ..., moved : 2 * moved], (*unpadded, 1, 0))
    return (
        torch.cat([after, before, clips[..., 2 * moved :]], dim=-1).flatten(0, 1).permute(0, 3, 1, 2)
    )  # (N * T, C, H, W)
