"""The graph convolution of CTR-GCN: shared adjacencies, refined for each channel and each clip.

Shapes: B clips x persons, T frames, V joints, U joints that receive, C channels, K graph subsets, R relation channels.

Source:
    Chen et al., Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition, ICCV 2021,
    section 3.2. The published code runs one small network a subset; here the K of them are one, with grouped weights.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.pointwise import PointwiseConv, channel_product, projection

_REDUCTION = 8  # input channels a relation channel
_LEAST_RELATION_CHANNELS = 8  # for inputs with few channels, such as coordinates


class ChannelRefinedGraphConv(nn.Module):
    """Each channel mixes the joints by a topology of its own: the shared adjacency plus what the clip's joints say.

    Joint u takes from joint v what the adjacency holds at [u, v], the transpose of the other graph convolutions here,
    as published. The refinement is switched off at the start (alpha = 0), and so nearly is the whole convolution beside
    its residual connection (a norm of 1e-6).

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        subsets: float32 (K, V, V), where the shared adjacencies start.

    Shapes:
        input (B, C_in, T, V) -> output (B, C_out, T, V).
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: npt.NDArray[np.float32]) -> None:
        super().__init__()
        count = len(subsets)
        relations = max(_LEAST_RELATION_CHANNELS, in_channels // _REDUCTION)
        self.subsets = nn.Parameter(torch.from_numpy(subsets.copy()))  # (K, U, V)
        self.alpha = nn.Parameter(torch.zeros(1))
        self.theta = nn.Conv1d(in_channels, count * relations, 1)
        self.phi = nn.Conv1d(in_channels, count * relations, 1)
        self.lift = nn.Conv2d(count * relations, count * out_channels, 1, groups=count)
        self.value = PointwiseConv(in_channels, count * out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.residual = projection(in_channels, out_channels)
        # Kaiming's rule for one subset's share of the weights, not for the K of them.
        for layer, fan_out in (
            (self.theta, relations),
            (self.phi, relations),
            (self.lift, out_channels),
            (self.value, out_channels),
        ):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.norm.weight, 1e-6)

    def topologies(self, x: Tensor) -> list[Tensor]:
        """Return how much of joint v goes to joint u in each channel of each clip, K times (B, C_out, V, U)."""
        batch, count, joints = x.shape[0], len(self.subsets), x.shape[3]
        # A 1x1 convolution of the mean is the mean of the convolution, for a T-th of the work.
        mean = x.mean(2)  # (B, C_in, V)
        relation = torch.tanh(self.theta(mean)[..., None, :] - self.phi(mean)[..., None])  # (B, K * R, V, U)
        relation = relation.view(batch, count, -1, joints * joints).transpose(0, 1)  # (K, B, R, V * U)
        # The shared adjacency is one more relation, so that one product gives the sum of both.
        shared = self.subsets.to(relation.dtype).transpose(1, 2).reshape(count, 1, 1, -1).expand(-1, batch, -1, -1)
        relation = torch.cat((relation, shared), 2)  # (K, B, R + 1, V * U)
        weight = self.alpha * self.lift.weight.view(count, -1, relation.shape[2] - 1)  # (K, C_out, R)
        weight = torch.cat((weight, torch.ones_like(weight[..., :1])), 2)  # (K, C_out, R + 1)
        assert self.lift.bias is not None
        bias = self.alpha * self.lift.bias.view(count, -1)  # (K, C_out)
        return [
            channel_product(w, b, r).view(batch, -1, joints, joints)
            for w, b, r in zip(weight, bias, relation, strict=True)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features, (B, C_out, T, V)."""
        batch, _, frames, joints = x.shape
        flat = x.flatten(2)  # (B, C_in, T * V)
        weights, biases = self.value.weight.flatten(1), self.value.bias
        count = len(self.subsets)
        mixed: Tensor | None = None
        # A subset after the other: side by side they would be laid out anew for the product with the topology.
        for weight, bias, topology in zip(weights.chunk(count), biases.chunk(count), self.topologies(x), strict=True):
            values = channel_product(weight, bias, flat).view(-1, frames, joints)  # (B * C_out, T, V)
            topology = topology.flatten(0, 1)  # (B * C_out, V, U)
            mixed = torch.bmm(values, topology) if mixed is None else torch.baddbmm(mixed, values, topology)
        assert mixed is not None
        return F.relu(self.norm(mixed.view(batch, -1, frames, joints)) + self.residual(x))
