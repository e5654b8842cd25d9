"""Mending and smoothing of estimated tracks; both are off unless asked for.

Shapes: M persons, T frames, V joints, C coordinates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import ConfigError

Floats = npt.NDArray[np.float32]

_INTERPOLATED = 0.5
_SPEED_CUTOFF = 1.0


@dataclass(frozen=True)
class Processing:
    """What is done to a clip's keypoints after estimation: gaps are filled first, then tracks are smoothed.

    Args:
        interpolate: Frames of the longest gap to fill, >= 0; 0 fills none.
        smooth: The One Euro filter's `min_cutoff` in Hz, > 0, and `beta` in Hz for each pixel a second, >= 0; None
            smooths nothing.

    Raises:
        ConfigError: If a value is out of range.
    """

    interpolate: int = 0
    smooth: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        faults = []
        if self.interpolate < 0:
            faults.append(f"interpolate must be at least 0 frames, got {self.interpolate}.")
        if self.smooth is not None:
            cutoff, beta = self.smooth
            if not (math.isfinite(cutoff) and cutoff > 0):
                faults.append(f"smooth: the lowest cutoff must be a number above 0 Hz, got {cutoff:g}.")
            if not (math.isfinite(beta) and beta >= 0):
                faults.append(f"smooth: beta must be a number of at least 0, got {beta:g}.")
        if faults:
            raise ConfigError(*faults)

    @property
    def settings(self) -> Mapping[str, str]:
        """What is done, by name, for the keypoint set's metadata; empty where nothing is."""
        done = {}
        if self.interpolate:
            done["interpolate"] = str(self.interpolate)
        if self.smooth is not None:
            done["smooth"] = ",".join(f"{value:g}" for value in self.smooth)
        return done

    def __call__(self, keypoints: Floats, scores: Floats, fps: float) -> tuple[Floats, Floats]:
        """Return keypoints (M, T, V, C) and scores (M, T, V) after it.

        Args:
            keypoints: float32 (M, T, V, C).
            scores: float32 (M, T, V); 0 where a joint was not found.
            fps: Frames a second, > 0.
        """
        if self.interpolate:
            keypoints, scores = interpolate_gaps(keypoints, scores, self.interpolate)
        if self.smooth is not None:
            keypoints = one_euro(keypoints, scores, fps, *self.smooth)
        return keypoints, scores


def interpolate_gaps(keypoints: Floats, scores: Floats, longest: int) -> tuple[Floats, Floats]:
    """Return keypoints (..., T, V, C) and scores (..., T, V) with the short gaps of each joint filled.

    A gap has the joint found before and after it. Its frames lie on the straight line between these two, and score half
    of the lower one's: what is not seen is never as sure as what is. Longer gaps, and what comes before a joint's first
    or after its last frame, stay missing.

    Args:
        keypoints: float32 (..., T, V, C).
        scores: float32 (..., T, V) in [0, 1]; 0 where a joint was not found.
        longest: Frames of the longest gap to fill.
    """
    frames = scores.shape[-2]
    found = scores > 0
    time = np.arange(frames)[:, None]  # (T, 1)
    before = np.maximum.accumulate(np.where(found, time, -1), axis=-2)  # (..., T, V), -1 for none
    after = np.flip(np.minimum.accumulate(np.flip(np.where(found, time, frames), -2), axis=-2), -2)  # T for none
    filled = ~found & (before >= 0) & (after < frames) & (after - before - 1 <= longest)
    if not filled.any():
        return keypoints, scores
    # Where nothing is filled, frame 0 stands in for a neighbour that may not exist.
    before, after = np.where(filled, before, 0), np.where(filled, after, 0)
    share = ((time - before) / np.maximum(after - before, 1)).astype(np.float32)[..., None]  # (..., T, V, 1)
    start = np.take_along_axis(keypoints, before[..., None], -3)
    end = np.take_along_axis(keypoints, after[..., None], -3)
    lower = np.minimum(np.take_along_axis(scores, before, -2), np.take_along_axis(scores, after, -2))
    return (
        np.where(filled[..., None], start + share * (end - start), keypoints),
        np.where(filled, np.float32(_INTERPOLATED) * lower, scores),
    )


def one_euro(keypoints: Floats, scores: Floats, fps: float, min_cutoff: float, beta: float) -> Floats:
    """Return keypoints (..., T, V, C) smoothed by the One Euro filter: calm joints strongly, fast ones hardly.

    Each joint starts anew where it is found again after a gap. Joints with score 0 stay as they are.

    Args:
        keypoints: float32 (..., T, V, C) in pixels.
        scores: float32 (..., T, V); 0 where a joint was not found.
        fps: Frames a second, > 0.
        min_cutoff: Cutoff of a joint at rest in Hz, > 0; lower is smoother and lags more.
        beta: Hz that the cutoff rises by for each pixel a second, >= 0; higher lags less.

    Source:
        Casiez, Roussel, Vogel, CHI 2012, algorithm 1, derivative cutoff 1 Hz. One deviation: the cutoff follows the
        joint's speed, not each axis's own, so that turning the picture turns the result.
    """
    found = np.moveaxis(scores > 0, -2, 0)[..., None]  # (T, ..., V, 1)
    measured = np.moveaxis(keypoints, -3, 0)  # (T, ..., V, C)
    result = measured.copy()
    if not len(measured):
        return np.moveaxis(result, 0, -3)
    place = measured[0].astype(np.float64)
    velocity = np.zeros_like(place)
    speed_share = _share(np.float64(_SPEED_CUTOFF), fps)
    for t in range(1, len(measured)):
        going_on = found[t] & found[t - 1]
        newest = measured[t].astype(np.float64)
        step = np.where(going_on, newest - place, 0)
        velocity = np.where(going_on, velocity + speed_share * (step * fps - velocity), 0)
        cutoff = min_cutoff + beta * np.linalg.norm(velocity, axis=-1, keepdims=True)
        place = np.where(going_on, place + _share(cutoff, fps) * step, newest)
        result[t] = place
    return np.ascontiguousarray(np.moveaxis(result, 0, -3))


def _share(cutoff: npt.NDArray[np.float64] | np.float64, fps: float) -> npt.NDArray[np.float64] | np.float64:
    """Return how much of the newest value enters, in (0, 1), of an exponential filter with this cutoff in Hz."""
    return 1 / (1 + fps / (2 * np.pi * cutoff))
