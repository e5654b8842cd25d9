"""EfficientNet-Lite0 with temporal shift: the default RGB encoder.

Shapes: N clips, T frames, B = N * T pictures, C channels, H rows, W columns. Between the layers tensors are
(B, C, H, W) with the channels last in memory.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.rgb.checkpointing import checkpointed
from pcan_pose.models.rgb.encoder import RGBEncoder
from pcan_pose.models.rgb.lite0_weights import imagenet_weights
from pcan_pose.models.rgb.temporal_shift import temporal_shift

# Blocks, kernel, stride of the first block, expansion, output channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _FEATURES = 32, 1280
# How the weights were trained (bytes - 127) / 128; with ImageNet's usual mean and deviation they recognise less.
_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3


class ConvNorm(nn.Module):
    """A convolution padded as TensorFlow does, batch normalisation and, on request, a ReLU cut off at 6.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel: Rows and columns of the kernel.
        stride: Stride in rows and columns.
        groups: Groups of the convolution.
        activation: Whether the ReLU follows.

    Shapes:
        input (B, C_in, H, W) -> output (B, C_out, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        # The published momentum, 0.01, is for the many steps of ImageNet; statistics would lag behind a short training.
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.1)
        # He's rule; torch's own counts all channels of a depthwise convolution, and its signal dies out.
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 * groups / (out_channels * kernel**2)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, (B, C_out, H', W')."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        # An even size at stride 2 wants one more row below than above, which the convolution's own padding cannot say.
        rows, columns = ((-(-size // stride) - 1) * stride + kernel - size for size in x.shape[2:])
        if stride > 1:
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        padding = 0 if stride > 1 else kernel // 2
        x = self.norm(F.conv2d(x, self.conv.weight, self.conv.bias, stride, padding, groups=self.conv.groups))
        return F.relu6(x) if self.activation else x


class InvertedResidual(nn.Module):
    """Widen, convolve each channel apart, narrow; with a residual connection where the shape stays.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel: Rows and columns of the depthwise kernel.
        stride: Its stride.
        expansion: How much wider the middle is; 1 leaves the widening out.
        fold: One channel in so many is shifted in time, each way, in blocks with a residual connection; 0 for none.

    Shapes:
        input (B, C_in, H, W) -> output (B, C_out, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int, fold: int
    ) -> None:
        super().__init__()
        middle = in_channels * expansion
        self.fold = fold
        self.residual = stride == 1 and in_channels == out_channels
        self.expand = ConvNorm(in_channels, middle) if expansion != 1 else nn.Identity()
        self.depthwise = ConvNorm(middle, middle, kernel, stride, groups=middle)
        self.project = ConvNorm(middle, out_channels, activation=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Return the block's features, (B, C_out, H', W').

        Args:
            x: (B, C_in, H, W).
            frames: T, how many pictures in a row are one clip.
        """
        inside = temporal_shift(x, frames, self.fold) if self.residual and self.fold else x
        inside = self.project(self.depthwise(self.expand(inside)))  # (B, C_out, H', W')
        return x + inside if self.residual else inside


class EfficientNetLite0(RGBEncoder):
    """EfficientNet-Lite0 over every frame, whose residual branches see the frames before and after by temporal shift.

    Each frame is a token, and a clip's feature is their mean. Any size from 32 up and any number of frames will do.

    Args:
        pretrained: Start from ImageNet's weights, which a package holds, and not from random ones.
        fold: One channel in so many is shifted, each way; 0 leaves the frames apart until the mean.

    Raises:
        MissingDependencyError: If the weights are asked for and their package is missing.

    Shapes:
        input (N, T, 3, H, W) in [0, 1] -> output (N, 1280), tokens (N, T, 1280).

    Source: Tan and Le, EfficientNet, ICML 2019, in its variant without squeeze and excitation; Lin et al., TSM, ICCV
    2019. Batch statistics move faster than published.
    """

    out_features = _FEATURES

    def __init__(self, *, pretrained: bool = True, fold: int = 8) -> None:
        super().__init__(_MEAN, _STD)
        self.checkpointed = False
        self.stem = ConvNorm(3, _STEM, 3, 2)
        blocks, previous = [], _STEM
        for depth, kernel, stride, expansion, width in _STAGES:
            for block in range(depth):
                first = block == 0
                blocks.append(InvertedResidual(previous, width, kernel, stride if first else 1, expansion, fold))
                previous = width
        self.blocks = nn.ModuleList(blocks)
        self.top = ConvNorm(previous, _FEATURES)
        if pretrained:
            self.load_state_dict(imagenet_weights())
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def tokens(self, clips: Tensor) -> Tensor:
        """Return one token a frame, (N, T, 1280).

        Args:
            clips: float (N, T, 3, H, W) in [0, 1].

        Raises:
            ConfigError: If the pictures are smaller than 32x32.
        """
        number, frames = clips.shape[:2]
        self.check(frames, min(clips.shape[3:]))
        x = self.normalised(clips).flatten(0, 1).contiguous(memory_format=torch.channels_last)  # (B, 3, H, W)
        x = self.stem(x)  # (B, 32, H / 2, W / 2)
        again = self.checkpointed and self.training and torch.is_grad_enabled()
        for block in self.blocks:
            x = checkpointed(block, x, frames) if again else block(x, frames)
        x = self.top(x)  # (B, 1280, H / 32, W / 32)
        return x.mean((2, 3)).view(number, frames, -1)  # (N, T, 1280)

    def stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters of the stem, of each block and of the last convolution, 18 groups."""
        return [list(module.parameters()) for module in (self.stem, *self.blocks, self.top)]

    def checkpoint_gradients(self, on: bool = True) -> None:
        """Keep the activations inside the blocks, or compute them again on the way back."""
        self.checkpointed = on
