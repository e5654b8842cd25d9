"""The default pose encoder.

Shapes: N clips, M persons, T frames, V joints, C channels. Between the layers tensors are (N * M, C, T, V) with the
channels last in memory, from the input to the pooling, so that no layer copies a layout.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.encoder import Encoder
from pcan_pose.models.graph_conv import SpatialGraphConv
from pcan_pose.models.joint_norm import normalised
from pcan_pose.models.residual import Residual
from pcan_pose.models.stages import stage_blocks, stem
from pcan_pose.models.temporal_conv import BottleneckTemporalConv

SpatialFactory = Callable[[int, int], nn.Module]


class PoseBlock(nn.Module):
    """One spatial and one temporal convolution, with one residual connection around both.

    A second one around the spatial convolution alone, as in ST-GCN++, costs parameters and lost accuracy here.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        spatial: Makes the spatial operator from the input's and the output's channels.
        kernel: Frames that the temporal convolution spans.
        stride: Stride in time.
        reduction: Reduction of the temporal bottleneck.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, ceil(T / stride), V).
    """

    def __init__(
        self, in_channels: int, out_channels: int, spatial: SpatialFactory, kernel: int, stride: int, reduction: int
    ) -> None:
        super().__init__()
        self.spatial = spatial(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.temporal = BottleneckTemporalConv(out_channels, kernel, stride, reduction)
        self.residual = Residual(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features, (B, C_out, T', V)."""
        mixed = F.relu(self.norm(self.spatial(x)))  # (B, C_out, T, V)
        return F.relu(self.temporal(mixed) + self.residual(x))  # (B, C_out, T', V)


class PoseEncoder(Encoder):
    """Graph convolutions over early-fused streams, pooled to one feature a clip.

    The streams share one network: each channel of each joint is normalised over the batch, a strided convolution is the
    stem (one weight for each stream's channels, summed), and stages of `PoseBlock` halve time as they widen.

    Args:
        in_channels: C of the input: coordinates of all streams and the score.
        adjacency: float32 (V, V), the skeleton's normalised adjacency with self-loops.
        widths: Channels of each stage.
        depths: Blocks of each stage.
        groups: Learned adjacencies of a block.
        temporal_kernel: Frames that a temporal convolution spans, odd.
        reduction: Reduction of the temporal bottlenecks.
        stem_stride: Stride in time of the stem.
        spatial: Makes another spatial operator than `SpatialGraphConv`.

    Shapes:
        input (N, M, T, V, C_in), found (N, M, T, V) -> output (N, widths[-1]).
    """

    def __init__(
        self,
        in_channels: int,
        adjacency: npt.NDArray[np.float32],
        *,
        widths: tuple[int, ...] = (64, 128, 256),
        depths: tuple[int, ...] = (3, 2, 2),
        groups: int = 1,
        temporal_kernel: int = 5,
        reduction: int = 4,
        stem_stride: int = 2,
        spatial: SpatialFactory | None = None,
    ) -> None:
        super().__init__()

        def learned(in_channels: int, out_channels: int) -> nn.Module:
            return SpatialGraphConv(in_channels, out_channels, adjacency, groups)

        joints = adjacency.shape[0]
        self.out_features = widths[-1]
        self.input_norm = nn.BatchNorm1d(joints * in_channels)
        self.stem = stem(in_channels, widths[0], temporal_kernel, stem_stride)
        self.blocks = nn.Sequential(
            *(
                PoseBlock(previous, width, spatial or learned, temporal_kernel, stride, reduction)
                for previous, width, stride in stage_blocks(widths, depths)
            )
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the features before pooling, (N * M, widths[-1], T', V)."""
        x = normalised(self.input_norm, x, found)
        x = self.stem(x.permute(0, 3, 1, 2))  # (N * M, C, T', V), channels last
        out: Tensor = self.blocks(x)
        return out
