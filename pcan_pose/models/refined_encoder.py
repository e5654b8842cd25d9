"""The default encoder's stages with a graph that follows the clip, and temporal branches of several reaches.

Shapes: N clips, M persons, B = N * M, T frames, V joints, C channels. Tensors are (B, C, T, V) with the channels first
in memory, as the products for each channel want them.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.channel_topology import ChannelTopology
from pcan_pose.models.encoder import Encoder
from pcan_pose.models.joint_norm import JointNorm
from pcan_pose.models.multi_scale_conv import MultiScaleTemporalConv
from pcan_pose.models.pointwise import PointwiseConv, projection
from pcan_pose.models.stages import stage_blocks, stem

_KERNEL = 5  # frames of the stem


class RefinedGraphConv(nn.Module):
    """Each channel mixes the joints by a topology of its own: one learned adjacency, refined by the clip.

    A third of the work of CTR-GCN's convolution, which has three adjacencies, and without the norm and the residual
    connection that it has of its own. What frames without a joint hold, such as those that fill up a short clip, has no
    part in the refinement.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        adjacency: float32 (V, V), where the shared adjacency starts.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V).
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.topology = ChannelTopology(in_channels, out_channels, adjacency[None])
        self.value = PointwiseConv(in_channels, out_channels)
        nn.init.zeros_(self.value.bias)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, V).

        Args:
            x: (B, C_in, T, V).
            there: (B, 1, T, V), 1 where a joint was found and 0 elsewhere.
        """
        (topology,) = self.topology(x, there)  # (B * C_out, V, U)
        values = self.value(x)  # (B, C_out, T, V)
        return torch.bmm(values.flatten(0, 1), topology).view_as(values)


class RefinedBlock(nn.Module):
    """One spatial and one temporal convolution, with one residual connection around both.

    Args:
        in_channels: C of the input.
        out_channels: C of the output, a multiple of 4.
        adjacency: float32 (V, V), where the shared adjacency starts.
        stride: Stride in time.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, ceil(T / stride), V).
    """

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: npt.NDArray[np.float32], stride: int = 1
    ) -> None:
        super().__init__()
        self.stride = stride
        self.spatial = RefinedGraphConv(in_channels, out_channels, adjacency)
        self.norm = nn.BatchNorm2d(out_channels)
        self.temporal = MultiScaleTemporalConv(out_channels, stride)
        self.residual: nn.Module = nn.Identity()
        if in_channels != out_channels or stride != 1:
            self.residual = projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Return the block's features, (B, C_out, T', V).

        Args:
            x: (B, C_in, T, V).
            there: (B, 1, T, V), 1 where a joint was found and 0 elsewhere.
        """
        mixed = F.relu(self.norm(self.spatial(x, there)))  # (B, C_out, T, V)
        return F.relu(self.temporal(mixed) + self.residual(x))  # (B, C_out, T', V)


class RefinedEncoder(Encoder):
    """The default encoder's stages of `RefinedBlock`, which start with every frame unless told otherwise.

    What CTR-GCN has over the default encoder on NW-UCLA comes from its refinement and its temporal branches together,
    neither alone; this is the default encoder with both, with 0.37 of CTR-GCN's parameters.

    Args:
        in_channels: C of the input.
        adjacency: float32 (V, V), the skeleton's normalised adjacency with self-loops.
        widths: Channels of each stage, multiples of 4.
        depths: Blocks of each stage; time is halved between stages.
        stem_stride: Stride in time of the stem.

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
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.out_features = widths[-1]
        self.stem_stride = stem_stride
        self.input_norm = JointNorm(in_channels, adjacency.shape[0])
        self.stem = stem(in_channels, widths[0], _KERNEL, stem_stride)
        self.blocks = nn.ModuleList(
            RefinedBlock(previous, width, adjacency, stride) for previous, width, stride in stage_blocks(widths, depths)
        )

    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the features before pooling, (N * M, widths[-1], T', V)."""
        out: Tensor = self.stem(self.input_norm(x, found))
        # Frame t after a stride lies around frame stride * t before it.
        there = found.flatten(0, 1)[:, None, :: self.stem_stride].to(out.dtype)  # (N * M, 1, T', V)
        for block in self.blocks:
            out = block(out, there)
            there = there[:, :, :: block.stride]
        return out
