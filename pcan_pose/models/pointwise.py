"""Convolutions over channels alone, as matrix products.

Shapes: B clips x persons, T frames, V joints, C channels.
"""

import torch
from torch import Tensor, nn


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution of tensors with the channels first in memory, as one matrix product for each clip.

    A convolution library lays such tensors out anew for each call, and back; the matrix product takes them as they
    are. Parameters, names and results are those of `nn.Conv2d`. Frames are taken before the product: torch's CPU kernel
    for strided 1x1 convolutions in bfloat16 writes out of bounds for some small sizes (see `Residual`).

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        stride: Stride in time.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, ceil(T / stride), V).
    """

    bias: Tensor

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 1, (stride, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved features, (B, C_out, T', V)."""
        x = x[:, :, :: self.stride[0]]
        batch, _, frames, joints = x.shape
        return channel_product(self.weight.flatten(1), self.bias, x.flatten(2)).view(batch, -1, frames, joints)


def projection(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Return a residual path of other channels or fewer frames: a convolution started by Kaiming's rule, and a norm."""
    conv = PointwiseConv(in_channels, out_channels, stride)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def channel_product(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Return weight @ x + bias for each clip.

    Args:
        weight: (C_out, C_in).
        bias: (C_out,).
        x: (B, C_in, L).

    Returns:
        (B, C_out, L).
    """
    clips = x.shape[0]
    # Autocast would round, and its gradient widen, one copy of the weights a clip. And torch sums the bias's gradient
    # over neighbouring numbers first, then over clips, many times as fast as over both at once.
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    return torch.baddbmm(bias.expand(clips, -1)[..., None], weight.expand(clips, -1, -1), x)
