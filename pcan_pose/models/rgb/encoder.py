"""What all RGB encoders share: normalised pictures in, tokens, pooled to one feature a clip.

Shapes: N clips, T frames, H rows, W columns, L tokens, F features.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from pcan_pose.errors import ConfigError


class RGBEncoder(nn.Module, ABC):
    """A network from the pictures of a clip to features; a kind of encoder says how the tokens are made.

    Args:
        mean: Of red, green and blue in [0, 1], as the encoder was trained with.
        std: Of red, green and blue, likewise.

    Shapes:
        input (N, T, 3, H, W) in [0, 1] -> output (N, out_features).
    """

    out_features: int
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.frozen = False
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @abstractmethod
    def tokens(self, clips: Tensor) -> Tensor:
        """Return the features before pooling, (N, L, out_features), of frames or of patches.

        Args:
            clips: float (N, T, 3, H, W) in [0, 1].

        Raises:
            ConfigError: If the encoder takes no clips of this length or size.
        """

    @abstractmethod
    def stages(self) -> list[list[nn.Parameter]]:
        """Return all parameters once, in groups from the input to the output."""

    @abstractmethod
    def checkpoint_gradients(self, on: bool = True) -> None:
        """Keep the activations of a training step, or compute them again: less memory for about a third more time."""

    def check(self, frames: int, size: int) -> None:
        """Check that clips of this length and size are what the encoder takes.

        Args:
            frames: T.
            size: H and W, pixels.

        Raises:
            ConfigError: If they are not.
        """
        if frames < 1 or size < 32:
            raise ConfigError(
                f"{type(self).__name__} got clips of {frames} frames of {size}x{size}, expected at least 1 of 32x32"
            )

    def normalised(self, clips: Tensor) -> Tensor:
        """Return the pictures as the network wants them, (N, T, 3, H, W)."""
        return (clips - self.mean) / self.std

    def pool(self, tokens: Tensor) -> Tensor:
        """Return one feature a clip, (N, out_features): the mean over the tokens.

        Args:
            tokens: (N, L, out_features).
        """
        return tokens.mean(1)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the pooled features, (N, out_features).

        Args:
            clips: float (N, T, 3, H, W) in [0, 1].

        Raises:
            ConfigError: If the encoder takes no clips of this length or size.
        """
        return self.pool(self.tokens(clips))

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the trained parameters in groups from the input to the output, for rates that fall towards the input.

        A group whose parameters are all frozen is empty, so the others keep their distance from the output.
        """
        return [[parameter for parameter in stage if parameter.requires_grad] for stage in self.stages()]

    def freeze(self) -> Self:
        """Train nothing of this encoder from now on, batch statistics and dropout included; return the encoder."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training, in which a frozen encoder never is; return the encoder."""
        return super().train(mode and not self.frozen)
