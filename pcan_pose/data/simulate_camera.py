"""How simulated people are seen: a camera that projects them, and a pose estimator that makes mistakes.

Shapes: B clips of a block, T frames, V joints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcan_pose.data.simulate_body import LAYOUT
from pcan_pose.data.simulate_curves import Draws, Floats, smooth

# MA-52's picture height, for which pixel errors are given.
REFERENCE_HEIGHT = 1296

_TIPS = np.array([joint.endswith("_tip") for joint in LAYOUT.joints])
_FAR = np.array([joint.endswith(("wrist", "ankle", "elbow", "knee")) for joint in LAYOUT.joints])


def project(rng: np.random.Generator, joints: Floats, width: int, height: int) -> Floats:
    """Return pixels and depth (B, T, V, 3), the depth in pixels too, growing away from the camera.

    Args:
        rng: The block's random stream.
        joints: (V, 3, B, T) metres, x to the person's left, y up, z forward.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """
    draws = Draws(rng, joints.shape[2], np.zeros(1, np.float32))
    # In front, a little above, not quite centred.
    yaw, pitch, roll = draws.normal(0.20), np.deg2rad(draws.uniform(-1, 9)), draws.normal(0.015)
    distance, scale = draws.uniform(2.6, 4.4), np.float32(height / REFERENCE_HEIGHT) * draws.uniform(440, 570)
    left, top = width * (np.float32(0.5) + draws.normal(0.05)), height * (np.float32(0.57) + draws.normal(0.025))
    x, y, z = joints.swapaxes(0, 1)  # (V, B, T) each
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), z * np.cos(pitch) + y * np.sin(pitch)
    x, y = x * np.cos(roll) - y * np.sin(roll), y * np.cos(roll) + x * np.sin(roll)
    zoom = scale * distance / (distance - z)
    pixels = np.empty((*x.shape[1:], x.shape[0], 3), np.float32)  # (B, T, V, 3)
    for coordinate, value in enumerate((left + x * zoom, top - y * zoom, -z * scale)):
        pixels[..., coordinate] = value.transpose(1, 2, 0)
    return pixels


def observe(rng: np.random.Generator, pixels: Floats, noise: float, height: int, fps: float) -> tuple[Floats, Floats]:
    """Return what an estimator makes of the motion: keypoints (B, T, V, 2) and scores (B, T, V), 0 for not found.

    Args:
        rng: The block's random stream for the estimator.
        pixels: (B, T, V, 3) as from `project`.
        noise: As in ``SimulationConfig``; 0 gives the exact positions.
        height: Height of the picture in pixels.
        fps: Frames a second.
    """
    exact = pixels[..., :2]
    if noise == 0:
        return np.ascontiguousarray(exact), np.ones(pixels.shape[:3], np.float32)
    clips, frames, joints = pixels.shape[:3]
    draws = Draws(rng, clips, (np.arange(frames) / fps).astype(np.float32))
    unit = np.float32(noise * height / REFERENCE_HEIGHT)
    jitter = unit * np.where(_TIPS, 4.2, np.where(_FAR, 2.6, 1.9)).astype(np.float32)  # (V,) pixels
    quality = np.exp(draws.normal(0.35))[..., None]  # (B, 1, 1)

    error = rng.standard_normal(exact.shape, dtype=np.float32)
    error *= (jitter * quality)[..., None]
    # An estimator's error is alike from frame to frame: it looks like slow movement.
    drift = draws.wander(2.0, lead=(joints * 2,)).transpose(1, 2, 0).reshape(exact.shape)
    error += drift * (np.float32(1.2) * jitter)[:, None]

    scores = np.where(_TIPS, 0.66, np.where(_FAR, 0.82, 0.90)).astype(np.float32) - np.float32(0.05) * quality
    scores = scores + np.float32(0.05) * rng.standard_normal(exact.shape[:3], dtype=np.float32)
    # Fast hands blur.
    tips = exact[:, :, _TIPS]
    speed = np.abs(np.diff(tips, axis=1, append=tips[:, -1:])).sum(-1) * np.float32(fps / height)  # heights a second
    scores[..., _TIPS] -= np.minimum(np.float32(0.35) * speed, np.float32(0.35))

    # A frame's gross mistakes: far off, and known to be doubtful.
    wild = np.nonzero(rng.random(exact.shape[:3], dtype=np.float32) < 0.004 * noise)
    error[wild] += 45 * unit * rng.standard_normal((len(wild[0]), 2), dtype=np.float32)
    scores[wild] *= np.float32(0.6) * rng.random(len(wild[0]), dtype=np.float32)
    keypoints = exact + error
    scores = np.clip(scores, 0.05, 1.0)

    hidden = _hidden(draws, pixels, noise)
    keypoints[hidden] = 0
    scores[hidden] = 0
    return keypoints, scores


def _hidden(draws: Draws, pixels: Floats, noise: float) -> NDArray[np.bool_]:
    """Return which joints are not found (B, T, V): hands that lie low or behind the body, ears that face away."""
    joint = {name: i for i, name in enumerate(LAYOUT.joints)}
    height, depth = pixels[..., 1], pixels[..., 2]
    trunk = np.abs(height[..., joint["neck"]] - height[..., joint["left_hip"]]) + 1  # (B, T) pixels
    # Luck has a part that lasts for the clip and one that changes: hands come and go.
    luck = np.float32(0.75) * (draws.wander(2.5, lead=(2,)) + draws.normal(lead=(2,)))
    hidden = np.zeros(pixels.shape[:3], bool)
    for side, name in enumerate(("left", "right")):
        behind = (depth[..., joint[f"{name}_middle_tip"]] - depth[..., joint["neck"]]) / trunk
        low = (height[..., joint[f"{name}_wrist"]] - height[..., joint["left_hip"]]) / trunk
        threshold = -1.9 + 1.3 * smooth(low * 4 + 1) + 3.4 * smooth(behind * 4) + np.float32(0.3 * np.log(noise))
        tips = [i for i, other in enumerate(LAYOUT.joints) if other.startswith(name) and _TIPS[i]]
        hidden[..., tips] = (luck[side] < threshold)[..., None]
        away = (depth[..., joint[f"{name}_ear"]] - depth[..., joint["nose"]]) / trunk
        hidden[..., joint[f"{name}_ear"]] = away > 0.34 + 0.08 * luck[side]
    return hidden
