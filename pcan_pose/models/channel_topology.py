"""Adjacencies of CTR-GCN: shared ones, refined for each channel and each clip.

Shapes: B clips x persons, T frames, V joints, U joints that receive, C channels, K graph subsets, R relation channels.

Source:
    Chen et al., Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition, ICCV 2021,
    section 3.2. The published code runs one small network a subset; here the K of them are one, with grouped weights.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pcan_pose.models.pointwise import channel_product

_REDUCTION = 8  # input channels a relation channel
_LEAST_RELATION_CHANNELS = 8  # for inputs with few channels, such as coordinates


class ChannelTopology(nn.Module):
    """How much each joint tells each other one: the shared adjacency plus what the clip's joints say, by channel.

    Joint u takes from joint v what the adjacency holds at [u, v], as published. The refinement is switched off at the
    start (alpha = 0).

    Args:
        in_channels: C of the features that the relation of two joints is read from.
        out_channels: C of the features to mix.
        subsets: float32 (K, V, V), where the shared adjacencies start.

    Shapes:
        input (B, C_in, T, V) -> output K times (B * C_out, V, U).
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
        # Kaiming's rule for one subset's share of the weights, not for the K of them.
        for layer, fan_out in ((self.theta, relations), (self.phi, relations), (self.lift, out_channels)):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, there: Tensor | None = None) -> list[Tensor]:
        """Return how much of joint v goes to joint u in each channel of each clip, K times (B * C_out, V, U).

        Args:
            x: (B, C_in, T, V).
            there: (B, 1, T, V), 1 where a joint says something and 0 elsewhere; None lets all frames speak, as
                published.
        """
        batch, count, joints = x.shape[0], len(self.subsets), x.shape[3]
        # A 1x1 convolution of the mean is the mean of the convolution, for a T-th of the work.
        spoken, frames = (x, x.shape[2]) if there is None else (x * there, there.sum(2).clamp(min=1))
        mean = spoken.sum(2) / frames  # (B, C_in, V); torch's own mean takes twice as long in bfloat16 on a CPU
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
            channel_product(w, b, r).view(-1, joints, joints) for w, b, r in zip(weight, bias, relation, strict=True)
        ]
