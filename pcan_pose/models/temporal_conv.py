"""Temporal convolution as a bottleneck.

Shapes: B clips x persons, T frames, V joints, C channels. Tensors are (B, C, T, V) with the channels last in memory.
"""

from torch import Tensor, nn


class BottleneckTemporalConv(nn.Module):
    """Frames exchange features in a quarter of the channels: 1x1 down, k x 1 over time, 1x1 up, each with its norm.

    Args:
        channels: C, in and out.
        kernel: Frames that the middle convolution spans, odd.
        stride: Stride in time.
        reduction: C / reduction channels in the middle.

    Shapes:
        input (B, C, T, V) -> output (B, C, ceil(T / stride), V), channels last in memory.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, reduction: int = 4) -> None:
        super().__init__()
        middle = channels // reduction
        self.layers = nn.Sequential(
            nn.Conv2d(channels, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, middle, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features over time, (B, C, T', V)."""
        return self.layers(x)
