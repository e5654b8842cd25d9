"""Spatial graph convolution with a learned adjacency.

Shapes: B clips x persons, T frames, V joints, C channels, G groups. Tensors are (B, C, T, V) with the channels last
in memory.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


class SpatialGraphConv(nn.Module):
    """Joints exchange features along a learned adjacency: X' = A (X W), with G adjacencies for C/G channels each.

    The adjacency starts as the skeleton's normalised one and is trained with the weights. One adjacency instead of
    ST-GCN's three subsets is a third of their work at the same width.

    Args:
        in_channels: C of the input.
        out_channels: C of the output, a multiple of groups.
        adjacency: float (V, V), entry [v, w] says how much of joint v goes to joint w.
        groups: Number of adjacencies, G.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V), channels last in memory.
    """

    def __init__(
        self, in_channels: int, out_channels: int, adjacency: npt.NDArray[np.float32], groups: int = 1
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels, bias=False)
        self.adjacency = nn.Parameter(torch.from_numpy(adjacency.copy()).repeat(groups, 1, 1))  # (G, V, V)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, V)."""
        batch, _, frames, joints = x.shape
        x = self.linear(x.permute(0, 2, 3, 1))  # (B, T, V, C)
        groups = self.adjacency.shape[0]
        adjacency = self.adjacency.to(x.dtype).transpose(1, 2)  # (G, W, V)
        if groups == 1:
            # bmm with the expanded adjacency: matmul with a parameter takes a slower path.
            x = torch.bmm(adjacency.expand(batch * frames, -1, -1), x.reshape(batch * frames, joints, -1))
        else:
            x = x.reshape(batch * frames, joints, groups, -1).transpose(1, 2)  # (BT, G, V, C/G)
            adjacency = adjacency.expand(batch * frames, -1, -1, -1)
            x = torch.matmul(adjacency, x).transpose(1, 2)  # (BT, V, G, C/G)
        return x.reshape(batch, frames, joints, -1).permute(0, 3, 1, 2)  # (B, C, T, V)
