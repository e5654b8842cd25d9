"""ST-GCN++, the baseline of the field.

Shapes: N clips, M persons, T frames, V joints, C channels, K = 3 graph subsets.

Source:
    Duan et al., PYSKL: Towards Good Practices for Skeleton Action Recognition, ACM MM 2022.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.encoder import Encoder
from pcan_pose.models.joint_norm import normalised
from pcan_pose.models.pointwise import PointwiseConv

_DILATIONS = (1, 2, 3, 4)


class SubsetGraphConv(nn.Module):
    """Graph convolution over K subsets with a trained adjacency and a residual connection.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V).
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.subsets = nn.Parameter(torch.from_numpy(subsets.copy()))  # (K, V, V)
        self.conv = nn.Conv2d(in_channels, out_channels * len(subsets), 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, V)."""
        parts = self.conv(x).unflatten(1, (self.subsets.shape[0], -1))  # (B, K, C, T, V)
        mixed = torch.einsum("nkctv,kvw->nctw", parts, self.subsets.to(parts.dtype))
        return F.relu(self.norm(mixed) + self.residual(x))


class MultiBranchTemporalConv(nn.Module):
    """Six temporal branches side by side: four dilations, a max pooling and a pointwise one, then a fusing 1x1.

    Shapes:
        input (B, C, T, V) -> output (B, C, ceil(T / stride), V).
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        width = channels // (len(_DILATIONS) + 2)
        first = channels - width * (len(_DILATIONS) + 1)

        def reduce(out: int) -> list[nn.Module]:
            return [nn.Conv2d(channels, out, 1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]

        branches: list[nn.Module] = []
        for dilation in _DILATIONS:
            out = width if branches else first
            conv = nn.Conv2d(out, out, (3, 1), (stride, 1), (dilation, 0), (dilation, 1))
            branches.append(nn.Sequential(*reduce(out), conv))
        branches.append(nn.Sequential(*reduce(width), nn.MaxPool2d((3, 1), (stride, 1), (1, 0))))
        branches.append(PointwiseConv(channels, width, stride))
        self.branches = nn.ModuleList(branches)
        self.fuse = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1))
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features over time, (B, C, T', V)."""
        return self.norm(self.fuse(torch.cat([branch(x) for branch in self.branches], 1)))


class STGCNPlusPlusBlock(nn.Module):
    """One spatial and one temporal convolution with a residual connection around both.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, ceil(T / stride), V).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        subsets: npt.NDArray[np.float32],
        stride: int = 1,
        *,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = SubsetGraphConv(in_channels, out_channels, subsets)
        self.temporal = MultiBranchTemporalConv(out_channels, stride)
        self.residual: nn.Module | None = None
        if residual and (in_channels != out_channels or stride != 1):
            conv = PointwiseConv(in_channels, out_channels, stride)
            self.residual = nn.Sequential(conv, nn.BatchNorm2d(out_channels))
        elif residual:
            self.residual = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features, (B, C_out, T', V)."""
        out = self.temporal(self.spatial(x))
        return F.relu(out if self.residual is None else out + self.residual(x))


class STGCNPlusPlus(Encoder):
    """The ten-block network of the paper, pooled to one feature a clip.

    Args:
        in_channels: C of the input.
        subsets: float32 (3, V, V), see `pcan_pose.skeleton.spatial_partition`.
        base_channels: Channels of the first stage; the second and third have twice and four times as many.

    Shapes:
        input (N, M, T, V, C_in), found (N, M, T, V) -> output (N, 4 * base_channels).
    """

    def __init__(self, in_channels: int, subsets: npt.NDArray[np.float32], *, base_channels: int = 64) -> None:
        super().__init__()
        self.out_features = 4 * base_channels
        self.input_norm = nn.BatchNorm1d(subsets.shape[1] * in_channels)
        blocks = [STGCNPlusPlusBlock(in_channels, base_channels, subsets, residual=False)]
        for width, depth in ((base_channels, 3), (2 * base_channels, 3), (4 * base_channels, 3)):
            for block in range(depth):
                previous = width // 2 if width > base_channels and not block else width
                stride = 2 if previous != width else 1
                blocks.append(STGCNPlusPlusBlock(previous, width, subsets, stride))
        self.blocks = nn.Sequential(*blocks)

    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the features before pooling, (N * M, 4 * base_channels, ceil(T / 4), V)."""
        x = normalised(self.input_norm, x, found)
        out: Tensor = self.blocks(x.permute(0, 3, 1, 2).contiguous())  # (N * M, C, T, V)
        return out
