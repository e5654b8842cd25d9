"""What all encoders share: features of every frame and joint, pooled to one feature a clip.

Shapes: N clips, M persons, T frames, V joints, C channels.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pcan_pose.models.pooling import Pool, masked_mean


class Encoder(nn.Module, ABC):
    """A network from fused streams to features; a kind of encoder says how the features are made.

    Shapes:
        input (N, M, T, V, C_in), found (N, M, T, V) -> output (N, out_features), or what another pooling gives.
    """

    out_features: int

    @abstractmethod
    def features(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the features before pooling, (N * M, out_features, T', V).

        Args:
            x: (N, M, T, V, C_in), the fused streams.
            found: bool (N, M, T, V), where a joint is there.
        """

    def forward(self, x: Tensor, found: Tensor, *, pool: Pool = masked_mean) -> Tensor:
        """Return the pooled features, (N, out_features) of the mean.

        The pooling is an argument, and not the caller's next step, so that a compiled encoder pools too.

        Args:
            x: (N, M, T, V, C_in), the fused streams.
            found: bool (N, M, T, V), where a joint is there.
            pool: Makes a clip's features out of those of its persons, frames and joints.
        """
        return pool(self.features(x, found), found)
