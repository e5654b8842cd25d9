"""The temporal convolution of CTR-GCN: branches of several reaches side by side.

Shapes: B clips x persons, T frames, V joints, C channels.

Source:
    Chen et al., Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition, ICCV 2021,
    section 3.4.
"""

import math

import torch
from torch import Tensor, nn

from pcan_pose.models.pointwise import PointwiseConv

_KERNEL = 5
_DILATIONS = (1, 2)


class TemporalMaxPool(nn.MaxPool2d):
    """The largest of three frames.

    On a CPU torch has vectors for channels that are last in memory alone, where it takes a fifth of the time.

    Args:
        stride: Stride in time.

    Shapes:
        input (B, C, T, V) -> output (B, C, ceil(T / stride), V), channels last in memory.
    """

    def __init__(self, stride: int) -> None:
        super().__init__((3, 1), (stride, 1), (1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima, (B, C, T', V)."""
        return super().forward(x.contiguous(memory_format=torch.channels_last))


class MultiScaleTemporalConv(nn.Module):
    """Four temporal branches side by side, a quarter of the channels each: two dilations, a max pooling, a 1x1.

    In the published code each branch has a 1x1 convolution and norms of its own. Here the three convolutions that see
    the same input are one, and so are the norms: the same sums in fewer and larger products.

    Shapes:
        input (B, C, T, V) -> output (B, C, ceil(T / stride), V).
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        width = channels // (len(_DILATIONS) + 2)
        reduced = channels - width
        self.reduce = nn.Sequential(PointwiseConv(channels, reduced), nn.BatchNorm2d(reduced), nn.ReLU(inplace=True))
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width, (_KERNEL, 1), (stride, 1), (dilation * (_KERNEL // 2), 0), (dilation, 1))
            for dilation in _DILATIONS
        )
        self.branches.append(TemporalMaxPool(stride))
        self.point = PointwiseConv(channels, width, stride)
        self.norm = nn.BatchNorm2d(channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # Kaiming's rule for one branch's share of the weights.
                nn.init.normal_(module.weight, std=math.sqrt(2 / (width * module.kernel_size[0])))
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features over time, (B, C, T', V)."""
        reduced = self.reduce(x).chunk(len(self.branches), 1)  # a branch: (B, C / 4, T, V)
        outputs = [branch(part) for branch, part in zip(self.branches, reduced, strict=True)]
        return self.norm(torch.cat((*outputs, self.point(x)), 1))
