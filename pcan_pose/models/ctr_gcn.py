"""CTR-GCN, the strongest baseline in common use.

Shapes: N clips, M persons, B = N * M, T frames, V joints, C channels, K = 3 graph subsets.

Source:
    Chen et al., Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition, ICCV 2021.
"""

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.channel_refinement import ChannelRefinedGraphConv
from pcan_pose.models.encoder import Encoder
from pcan_pose.models.joint_norm import JointNorm
from pcan_pose.models.multi_scale_conv import MultiScaleTemporalConv
from pcan_pose.models.pointwise import projection


class CTRGCNBlock(nn.Module):
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
        self.spatial = ChannelRefinedGraphConv(in_channels, out_channels, subsets)
        self.temporal = MultiScaleTemporalConv(out_channels, stride)
        self.residual: nn.Module | None = None
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = projection(in_channels, out_channels, stride)
        elif residual:
            self.residual = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features, (B, C_out, T', V)."""
        out = self.temporal(self.spatial(x))
        return F.relu(out if self.residual is None else out + self.residual(x))


class CTRGCN(Encoder):
    """The ten-block network of the paper, pooled to one feature a clip.

    With 25 joints and 3 channels it has 1,431,102 parameters. The published code counts 1,446,672: 15,420 of them are
    its classifier of 60 actions, and 150 are the second person's own input norm (M * V * C channels there); here all
    persons share one (V * C channels), so that any number of them may come.

    Args:
        in_channels: C of the input.
        subsets: float32 (3, V, V), see `pcan_pose.skeleton.spatial_partition`.
        base_channels: Channels of the first stage, a multiple of 4; the second and third have twice and four times as
            many.

    Shapes:
        input (N, M, T, V, C_in), found (N, M, T, V) -> output (N, 4 * base_channels).
    """

    def __init__(self, in_channels: int, subsets: npt.NDArray[np.float32], *, base_channels: int = 64) -> None:
        super().__init__()
        self.out_features = 4 * base_channels
        self.input_norm = JointNorm(in_channels, subsets.shape[1])
        blocks = [CTRGCNBlock(in_channels, base_channels, subsets, residual=False)]
        previous = base_channels
        for width in (base_channels,) * 3 + (2 * base_channels,) * 3 + (4 * base_channels,) * 3:
            blocks.append(CTRGCNBlock(previous, width, subsets, stride=width // previous))
            previous = width
        self.blocks = nn.Sequential(*blocks)

    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the features before pooling, (N * M, 4 * base_channels, ceil(T / 4), V)."""
        out: Tensor = self.blocks(self.input_norm(x, found))
        return out
