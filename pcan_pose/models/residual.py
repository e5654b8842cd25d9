"""The residual path of a block.

Shapes: B clips x persons, C channels, T frames, V joints.
"""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """A block's input in the shape of its output: itself where that stays, else every stride-th frame, projected.

    The frames are taken before the 1x1 convolution, not by its stride: torch's CPU kernel for strided 1x1 convolutions
    in bfloat16 writes out of bounds for some small sizes (8 channels and an odd number of joints; torch 2.13).

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        stride: Stride in time.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, ceil(T / stride), V), channels last in memory.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.project: nn.Module = nn.Identity()
        if in_channels != out_channels or stride != 1:
            self.project = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the projected input, (B, C_out, T', V)."""
        if self.stride != 1:
            x = x[:, :, :: self.stride].contiguous(memory_format=torch.channels_last)  # (B, C_in, T', V)
        return self.project(x)
