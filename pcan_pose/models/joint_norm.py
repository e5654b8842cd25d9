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
        clips, persons, frames, joints, channels = x.shape
        x = self.norm(x.reshape(-1, joints * channels))  # (N * M * T, V * C)
        x = x.view(clips * persons, frames, joints, channels) * found.flatten(0, 1)[..., None]
        return x.permute(0, 3, 1, 2).contiguous()  # (N * M, C, T, V)
