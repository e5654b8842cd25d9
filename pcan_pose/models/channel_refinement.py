"""The graph convolution of CTR-GCN: shared adjacencies, refined for each channel and each clip.

Shapes: B clips x persons, T frames, V joints, C channels, K graph subsets.

Source:
    Chen et al., Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition, ICCV 2021,
    section 3.2.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.channel_topology import ChannelTopology
from pcan_pose.models.pointwise import PointwiseConv, channel_product, projection


class ChannelRefinedGraphConv(nn.Module):
    """Each channel mixes the joints by K topologies of its own, with a residual connection around it.

    At the start the whole convolution is nearly nothing beside its residual connection (a norm of 1e-6), as published.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        subsets: float32 (K, V, V), where the shared adjacencies start; see `ChannelTopology`.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V).
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.topologies = ChannelTopology(in_channels, out_channels, subsets)
        self.value = PointwiseConv(in_channels, len(subsets) * out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.residual = projection(in_channels, out_channels)
        # Kaiming's rule for one subset's share of the weights, not for the K of them.
        nn.init.normal_(self.value.weight, std=math.sqrt(2 / out_channels))
        nn.init.zeros_(self.value.bias)
        nn.init.constant_(self.norm.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, V)."""
        batch, _, frames, joints = x.shape
        flat = x.flatten(2)  # (B, C_in, T * V)
        topologies = self.topologies(x)
        weights, biases = (values.chunk(len(topologies)) for values in (self.value.weight.flatten(1), self.value.bias))
        mixed: Tensor | None = None
        # A subset after the other: side by side they would be laid out anew for the product with the topology.
        for weight, bias, topology in zip(weights, biases, topologies, strict=True):
            values = channel_product(weight, bias, flat).view(-1, frames, joints)  # (B * C_out, T, V)
            mixed = torch.bmm(values, topology) if mixed is None else torch.baddbmm(mixed, values, topology)
        assert mixed is not None
        return F.relu(self.norm(mixed.view(batch, -1, frames, joints)) + self.residual(x))
