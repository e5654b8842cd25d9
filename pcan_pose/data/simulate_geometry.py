"""Vectors, axes and two-bone limbs for many clips and frames at once; coordinates are the first axis.

Shapes: 3 coordinates, then anything that broadcasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcan_pose.data.simulate_curves import Floats


def cross(a: Floats, b: Floats) -> Floats:
    """Return the cross product along the first axis."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def dot(a: Floats, b: Floats) -> Floats:
    """Return the dot product along the first axis."""
    product: Floats = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def unit(a: Floats) -> Floats:
    """Return vectors of length 1 along the first axis."""
    scaled: Floats = a / np.sqrt(np.maximum(dot(a, a), np.float32(1e-8)))
    return scaled


def rotation(pitch: Floats, yaw: Floats, roll: Floats) -> Floats:
    """Return the three axes (3 axes, 3 coordinates, ...) of a segment from its angles in radians.

    Args:
        pitch: Forward, or down.
        yaw: To the person's left.
        roll: To the person's left.
    """
    sp, cp, sy, cy, sr, cr = np.sin(pitch), np.cos(pitch), np.sin(yaw), np.cos(yaw), np.sin(roll), np.cos(roll)
    x = (cr * cy - sr * sp * sy, -sr * cp, -cr * sy - sr * sp * cy)
    y = (sr * cy + cr * sp * sy, cr * cp, -sr * sy + cr * sp * cy)
    z = (cp * sy, -sp, cp * cy)
    return np.stack([np.stack(x), np.stack(y), np.stack(z)])


def place(axes: Floats, local: Sequence[Floats | float] | Floats) -> Floats:
    """Return a local vector in the person's axes: the sum of the segment's axes, weighted by the coordinates."""
    placed: Floats = axes[0] * local[0] + axes[1] * local[1] + axes[2] * local[2]
    return placed


def two_bones(start: Floats, target: Floats, first: Floats, second: Floats, pole: Floats) -> tuple[Floats, Floats]:
    """Return the middle joint and the end of a limb that reaches for a target, (3, ...) each.

    Args:
        start: Where the limb begins, (3, ...).
        target: Where it should end, not where it begins; out of reach, it ends on the way there.
        first: Length of the first bone.
        second: Length of the second bone.
        pole: The direction to which the middle joint gives way; need not have length 1.
    """
    way = target - start
    distance = np.sqrt(np.maximum(dot(way, way), np.float32(1e-8)))
    way = way / distance
    reach = np.clip(distance, np.abs(first - second) + np.float32(0.02), (first + second) * np.float32(0.985))
    along = (first * first - second * second + reach * reach) / (2 * reach)
    height = np.sqrt(np.maximum(first * first - along * along, np.float32(0)))
    aside = unit(pole - way * dot(pole, way))
    return start + way * along + aside * height, start + way * reach
