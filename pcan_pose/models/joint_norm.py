"""Normalisation of the fused streams, joint by joint.

Shapes: N clips, M persons, T frames, V joints, C channels.
"""

from torch import Tensor, nn


class JointNorm(nn.Module):
    """A batch norm for each channel of each joint, shared by the persons; what was not found becomes 0.

    Shapes:
        input (N, M, T, V, C), found (N, M, T, V) -> output (N * M, C, T, V).
    """

    def __init__(self, in_channels: int, joints: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(joints * in_channels)

    def forward(self, x: Tensor, found: Tensor) -> Tensor:
        """Return the normalised input, (N * M, C, T, V).

        Args:
            x: (N, M, T, V, C), the fused streams.
            found: bool (N, M, T, V), where a joint is there.
        """
        return normalised(self.norm, x, found).permute(0, 3, 1, 2).contiguous()


def normalised(norm: nn.BatchNorm1d, x: Tensor, found: Tensor) -> Tensor:
    """Return the streams after a norm of V * C channels, 0 where nothing was found, (N * M, T, V, C).

    Args:
        norm: The norm.
        x: (N, M, T, V, C), the fused streams.
        found: bool (N, M, T, V), where a joint is there.
    """
    clips, persons, frames, joints, channels = x.shape
    x = norm(x.reshape(-1, joints * channels))  # (N * M * T, V * C)
    return x.view(clips * persons, frames, joints, channels) * found.flatten(0, 1)[..., None]
