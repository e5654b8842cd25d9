"""Augmentations of a batch of crops at once, on the device: one change a clip, the same in all of its frames.

Every random number is drawn for the global batch from a seeded generator, so that a process of several can draw the
same ones and keep its own rows.

Shapes: B clips, T frames, H side of a stored crop, S side of a network's picture, P = S x S pixels.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pcan_pose.config import RGBAugmentConfig
from pcan_pose.data.constants import constant

# Weights of red, green and blue in a picture's brightness (ITU-R BT.601).
_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class RGBChange:
    """What is done to each clip of a batch.

    Attributes:
        window: float32 (B, 4), the part that is cut out: centre x and y, half the width and half the height, in crops
            that reach from -1 to 1; a negative half width mirrors.
        colour: float32 (B, 3), factors of brightness, contrast and saturation.
        hole: float32 (B, 4), the erased rectangle: left, top, right and bottom in [0, 1] of the result, or empty.
    """

    window: Tensor
    colour: Tensor
    hole: Tensor

    def rows(self, rows: slice) -> "RGBChange":
        """Return some clips' changes."""
        return RGBChange(self.window[rows], self.colour[rows], self.hole[rows])

    def to(self, device: torch.device) -> "RGBChange":
        """Return the changes on a device."""
        return RGBChange(*(part.to(device) for part in (self.window, self.colour, self.hole)))

    def expand(self, clips: int) -> "RGBChange":
        """Return one clip's change for every clip."""
        return RGBChange(*(part.expand(clips, -1) for part in (self.window, self.colour, self.hole)))


def draw_changes(batch: int, config: RGBAugmentConfig, generator: torch.Generator) -> RGBChange:
    """Return random changes of a batch, on the generator's device."""
    device = generator.device
    # One draw, whatever is switched on: then a switch changes what it switches and nothing else.
    uniform = torch.rand(batch, 12, generator=generator, device=device)
    half = _rectangles(uniform[:, 0], uniform[:, 1], config.scale, config.ratio)  # (B, 2)
    centre = (2 * uniform[:, 2:4] - 1) * (1 - half)
    mirrored = torch.where(uniform[:, 4] < config.flip, -1.0, 1.0)
    strengths = constant((config.brightness, config.contrast, config.saturation), torch.float32, device)
    colour = 1 + (2 * uniform[:, 5:8] - 1) * strengths
    size = _rectangles(uniform[:, 8], torch.full_like(uniform[:, 8], 0.5), config.erased, (1.0, 1.0))
    size = size * (uniform[:, 9:10] < config.erasing)
    corner = uniform[:, 10:12] * (1 - size)
    window = torch.cat([centre, half[:, :1] * mirrored[:, None], half[:, 1:]], 1)
    return RGBChange(window, colour, torch.cat([corner, corner + size], 1))


def _rectangles(area: Tensor, shape: Tensor, areas: tuple[float, float], ratios: tuple[float, float]) -> Tensor:
    """Return widths and heights, float32 (B, 2), <= 1, of random areas and shapes; those that are too long are cut."""
    areas_drawn = areas[0] + (areas[1] - areas[0]) * area
    low, high = math.log(ratios[0]), math.log(ratios[1])
    ratio = (low + (high - low) * shape).exp()
    return torch.stack([(areas_drawn * ratio).sqrt(), (areas_drawn / ratio).sqrt()], 1).clamp(max=1)


def change(crops: Tensor, changes: RGBChange, size: int) -> Tensor:
    """Return changed clips, float32 (B, T, 3, S, S) in [0, 1].

    Pixels between pixels are interpolated linearly. Pictures of half the crops' side or less are means of several such
    samples, as every pixel would otherwise show one spot of many.

    Args:
        crops: uint8 (B, T, H, H, 3).
        changes: On the same device.
        size: S.
    """
    clips, frames, side = crops.shape[:3]
    finer = max(1, round(side / size))
    centre_x, centre_y, half_width, half_height = changes.window.unbind(1)
    zero = torch.zeros_like(centre_x)
    across = torch.stack([half_width, zero, centre_x], 1)
    down = torch.stack([zero, half_height, centre_y], 1)
    shape = [clips, 1, finer * size, finer * size]
    grid = functional.affine_grid(torch.stack([across, down], 1), shape, align_corners=False)
    # Frames lie among the channels, so that one grid serves a whole clip.
    x = functional.grid_sample(_planar(crops), grid, align_corners=False, padding_mode="border")
    x = functional.avg_pool2d(x, finer) if finer > 1 else x  # (B, 3T, S, S)
    x = _recolour(x.reshape(clips, frames, 3, -1), changes.colour)  # (B, T, 3, P)
    return _erase(x.view(clips, frames, 3, size, size), changes.hole)


def resize(crops: Tensor, size: int) -> Tensor:
    """Return unchanged clips, float32 (B, T, 3, S, S) in [0, 1], antialiased if they become smaller.

    Args:
        crops: uint8 (B, T, H, H, 3).
        size: S.
    """
    x = _planar(crops)  # (B, 3T, H, H)
    if x.shape[-1] != size:
        x = functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)  # (B, 3T, S, S)
    return x.view(*crops.shape[:2], 3, size, size) / 255


def _planar(crops: Tensor) -> Tensor:
    """Return crops as float32 (B, 3T, H, H) in [0, 255]."""
    x = crops.permute(0, 1, 4, 2, 3).to(torch.float32, memory_format=torch.contiguous_format)  # (B, T, 3, H, H)
    return x.flatten(1, 2)


def _recolour(x: Tensor, factors: Tensor) -> Tensor:
    """Return clips of other brightness, contrast and saturation, in this order, (B, T, 3, P) in [0, 1].

    All three are linear in a pixel's colour, so they are one matrix a clip. Values are cut off once, at the end.

    Args:
        x: float32 (B, T, 3, P) in [0, 255].
        factors: float32 (B, 3).
    """
    clips, frames = x.shape[:2]
    brightness, contrast, saturation = (factors[:, i, None, None] for i in range(3))  # (B, 1, 1) each
    weights = constant(_GREY, torch.float32, x.device)
    identity = torch.eye(3, device=x.device)
    mean = (x.mean((1, 3)) @ weights)[:, None, None] * brightness  # (B, 1, 1)
    matrix = contrast * brightness * (saturation * identity + (1 - saturation) * weights)  # (B, 3, 3)
    offset = (1 - contrast) * mean
    matrix, offset = (part.repeat_interleave(frames, 0) / 255 for part in (matrix, offset))
    return torch.baddbmm(offset, matrix, x.flatten(0, 1)).clamp_(0, 1).view(clips, frames, 3, -1)


def _erase(x: Tensor, hole: Tensor) -> Tensor:
    """Return clips in which a rectangle is grey, (B, T, 3, S, S).

    Args:
        x: float32 (B, T, 3, S, S).
        hole: float32 (B, 4), left, top, right and bottom in [0, 1].
    """
    size = x.shape[-1]
    place = (torch.arange(size, device=x.device) + 0.5) / size  # (S,)
    left, top, right, bottom = hole[:, :, None].unbind(1)  # (B, 1) each
    columns, rows = (left <= place) & (place < right), (top <= place) & (place < bottom)  # (B, S) each
    return x.masked_fill_((rows[:, :, None] & columns[:, None])[:, None, None], 0.5)
