"""ST-GCN, the network that brought graph convolutions to skeletons.

Shapes: N clips, M persons, B = N * M, T frames, V joints, W joints that receive, C channels, K = 3 graph subsets.

Source:
    Yan et al., Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition, AAAI 2018, in the
    form that its authors' code has since 2018: ten blocks (the paper speaks of nine), no attention.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.encoder import Encoder
from pcan_pose.models.joint_norm import JointNorm
from pcan_pose.models.pointwise import PointwiseConv

_KERNEL = 9


def shared_normalisation(subsets: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return subsets whose columns sum to one over all of them together, float32 (K, V, V).

    ST-GCN divides by a joint's whole degree, itself included, before it splits the edges; later work splits first.

    Args:
        subsets: float32 (K, V, V); what is not 0 is an edge.
    """
    edges = subsets != 0
    degrees = edges.sum((0, 1)).clip(min=1)  # (V,)
    return (edges / degrees).astype(np.float32)


class EdgeWeightedGraphConv(nn.Module):
    """Graph convolution over K fixed subsets, each edge multiplied by a learned importance.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        subsets: float32 (K, V, V), entry [v, w] says how much of joint v goes to joint w.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V).
    """

    subsets: Tensor

    def __init__(self, in_channels: int, out_channels: int, subsets: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("subsets", torch.from_numpy(subsets.copy()))  # (K, V, W)
        self.importance = nn.Parameter(torch.ones(subsets.shape))  # (K, V, W)
        self.conv = nn.Conv2d(in_channels, out_channels * len(subsets), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, W)."""
        parts = self.conv(x).unflatten(1, (len(self.subsets), -1))  # (B, K, C_out, T, V)
        weighted = (self.subsets * self.importance).to(parts.dtype)
        return torch.einsum("nkctv,kvw->nctw", parts, weighted)


class STGCNBlock(nn.Module):
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
        dropout: float = 0.0,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = EdgeWeightedGraphConv(in_channels, out_channels, subsets)
        self.temporal = nn.Sequential(
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, (_KERNEL, 1), (stride, 1), (_KERNEL // 2, 0)),
            nn.BatchNorm2d(out_channels),
            nn.Dropout(dropout),
        )
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


class STGCN(Encoder):
    """The ten-block network of the published code, pooled to one feature a clip.

    With 25 joints and 3 channels it has 3,083,412 parameters, as published (3,098,832) but for the classifier of 60
    actions.

    Args:
        in_channels: C of the input.
        subsets: float32 (3, V, V), see `pcan_pose.skeleton.spatial_partition`; only their edges count, the weights are
            normalised as in the paper.
        base_channels: Channels of the first stage; the second and third have twice and four times as many.
        dropout: Share of the features dropped at the end of each block but the first. Its masks differ with the number
            of processes.

    Shapes:
        input (N, M, T, V, C_in), found (N, M, T, V) -> output (N, 4 * base_channels).
    """

    def __init__(
        self, in_channels: int, subsets: npt.NDArray[np.float32], *, base_channels: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__()
        subsets = shared_normalisation(subsets)
        self.out_features = 4 * base_channels
        self.input_norm = JointNorm(in_channels, subsets.shape[1])
        blocks = [STGCNBlock(in_channels, base_channels, subsets, residual=False)]
        previous = base_channels
        for width in (base_channels,) * 3 + (2 * base_channels,) * 3 + (4 * base_channels,) * 3:
            blocks.append(STGCNBlock(previous, width, subsets, stride=width // previous, dropout=dropout))
            previous = width
        self.blocks = nn.Sequential(*blocks)
        # The authors' start of the weights.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the features before pooling, (N * M, 4 * base_channels, ceil(T / 4), V)."""
        out: Tensor = self.blocks(self.input_norm(x, found))
        return out
