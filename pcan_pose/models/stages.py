"""What encoders of stages share: a convolution over time as the stem, and stages that halve time as they widen.

Shapes: B clips x persons, T frames, V joints, C channels.
"""

from collections.abc import Iterator, Sequence

from torch import nn


def stem(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    """Return a convolution over time with its norm, from (B, C_in, T, V) to (B, C_out, ceil(T / stride), V).

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel: Frames that it spans, odd.
        stride: Stride in time.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def stage_blocks(widths: Sequence[int], depths: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each block's channels in, channels out and stride in time: 2 where a stage after the first begins.

    Args:
        widths: Channels of each stage; the first stage starts with its own.
        depths: Blocks of each stage.
    """
    previous = widths[0]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            yield previous, width, 2 if stage and not block else 1
            previous = width
