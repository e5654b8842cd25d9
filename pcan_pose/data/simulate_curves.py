"""Random numbers and smooth curves over time, for whole blocks of clips at once.

Shapes: B clips of a block, T frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def smooth(x: Floats) -> Floats:
    """Return 0 below 0, 1 above 1 and a smooth step between."""
    x = np.clip(x, 0, 1)
    step: Floats = x * x * (3 - 2 * x)
    return step


class Draws:
    """Random columns for a block of clips, one number a clip.

    Args:
        rng: The block's random stream.
        clips: B; always the whole block, so that no clip depends on how many of its block are wanted.
        seconds: (T,) float32, the time of each frame.
    """

    def __init__(self, rng: np.random.Generator, clips: int, seconds: Floats) -> None:
        self.rng = rng
        self.clips = clips
        self.seconds = seconds

    def uniform(self, low: float = 0.0, high: float = 1.0, *, lead: tuple[int, ...] = ()) -> Floats:
        """Return float32 (*lead, B, 1), evenly spread."""
        drawn = self.rng.random((*lead, self.clips, 1), dtype=np.float32)
        return np.float32(low) + np.float32(high - low) * drawn

    def normal(self, scale: float = 1.0, *, lead: tuple[int, ...] = ()) -> Floats:
        """Return float32 (*lead, B, 1), Gaussian about 0."""
        drawn: Floats = np.float32(scale) * self.rng.standard_normal((*lead, self.clips, 1), dtype=np.float32)
        return drawn

    def choice(self, options: int | NDArray[np.int64], *, lead: tuple[int, ...] = ()) -> NDArray[np.int64]:
        """Return int64 (*lead, B), each below ``options``."""
        chosen: NDArray[np.int64] = (self.rng.random((*lead, self.clips)) * options).astype(np.int64)
        return chosen

    def chance(self, probability: Floats | float, *, lead: tuple[int, ...] = ()) -> NDArray[np.bool_]:
        """Return bool (*lead, B, 1), true with this probability."""
        hit: NDArray[np.bool_] = self.rng.random((*lead, self.clips, 1), dtype=np.float32) < probability
        return hit

    def wander(self, pace: float, *, lead: tuple[int, ...] = ()) -> Floats:
        """Return slow random curves of standard deviation 1, float32 (*lead, B, T).

        Args:
            pace: Knots a second; between them the curve is smooth.
            lead: The leading shape.
        """
        knots = int(np.ceil(self.seconds[-1] * pace)) + 4
        # The cubic B-spline basis at the frames; rows are scaled so that independent knots keep the variance.
        away = np.abs(self.seconds[:, None] * pace + 1 - np.arange(knots))
        basis = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6)
        basis /= np.sqrt((basis**2).sum(1, keepdims=True))
        values = self.rng.standard_normal((*lead, self.clips, knots), dtype=np.float32)
        curves: Floats = values @ basis.T.astype(np.float32)
        return curves
