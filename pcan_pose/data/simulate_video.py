"""Videos of simulated people: a clip's joints drawn as a clothed person in a room, for the RGB branch.

Draw clips of `clean_clips`: their keypoints carry a depth, so that near limbs cover far ones, and none of the pose
estimator's noise, which a camera would not see. Clips of 2-D keypoints are drawn too, in a fixed order.

Shapes: T frames, V joints.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcan_pose.atomic import atomic_write
from pcan_pose.data.simulate_body import FINGERS, LAYOUT
from pcan_pose.errors import DataError, MissingDependencyError
from pcan_pose.keypoints import Clip

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Colour = tuple[int, int, int]

_J = {name: i for i, name in enumerate(LAYOUT.joints)}
_SKIN: tuple[Colour, ...] = ((236, 196, 168), (214, 165, 130), (172, 120, 86), (120, 80, 56), (228, 182, 150))
_HAIR: tuple[Colour, ...] = ((28, 24, 22), (60, 42, 30), (96, 66, 40), (140, 130, 124))
_SHOE: Colour = (52, 48, 50)
# Drawing at this multiple of the size and shrinking smooths the edges.
_OVERSAMPLE = 2


def render_clip(clip: Clip, path: str | Path, *, height: int = 256, background_seed: int | None = None) -> None:
    """Write a clip as an H.264 mp4 of one drawn person; the file appears whole or not at all.

    Args:
        clip: One of `clean_clips`, or any clip of layout openpose28; its width, height and fps are needed. The first
            person is drawn, and joints of score 0 are left out.
        path: The file; its folder is made if need be.
        height: Height of the video in pixels, even, at least 32; the width follows from the clip's.
        background_seed: The room's texture; by default it follows from the clip id, the clothes from the subject.

    Raises:
        DataError: If the clip lacks its size or frame rate or is of another layout, or the height does not suit.
        MissingDependencyError: If PyAV or Pillow is not installed.
    """
    where = f"clip {clip.clip_id!r}"
    unknown = [name for name in ("width", "height", "fps") if not getattr(clip, name)]
    faults = [f"{where}: {name} is unknown, and a video needs it." for name in unknown]
    if (joints := clip.keypoints.shape[2]) != LAYOUT.num_joints:
        faults.append(f"{where}: {joints} joints, expected the {LAYOUT.num_joints} of layout {LAYOUT.name!r}.")
    if height < 32 or height % 2:
        faults.append(f"video height {height}: expected an even number of at least 32.")
    if faults:
        raise DataError(*faults)
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("rendering needs PyAV: pip install av") from error
    with atomic_write(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=max(1, round(float(clip.fps or 0))))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        stream.width, stream.height = _width(clip, height), height
        for picture in draw_frames(clip, height=height, background_seed=background_seed):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def draw_frames(clip: Clip, *, height: int = 256, background_seed: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a clip's first person as RGB pictures, uint8 (height, width, 3).

    Args:
        clip: As for `render_clip`.
        height: Height of the pictures in pixels.
        background_seed: As for `render_clip`.

    Raises:
        MissingDependencyError: If Pillow is not installed.
    """
    width = _width(clip, height)
    scale = height * _OVERSAMPLE / (clip.height or height)
    joints = clip.keypoints[0] * scale  # (T, V, C)
    seen = clip.scores[0] > 0
    if joints.shape[2] == 2:
        joints = np.concatenate([joints, np.zeros_like(joints[..., :1])], 2)
    torso = _torso(joints, seen)
    seed = zlib.crc32(clip.clip_id.encode()) if background_seed is None else background_seed
    room = _room(np.random.default_rng(seed), width * _OVERSAMPLE, height * _OVERSAMPLE)
    look = _look(clip.subject or clip.clip_id)
    for frame, visible in zip(joints, seen, strict=True):
        picture = room.copy()
        _draw(picture, frame, visible, torso, look)
        yield np.asarray(picture.reduce(_OVERSAMPLE))


def _width(clip: Clip, height: int) -> int:
    """Return the even width that keeps the clip's aspect ratio; H.264 takes no odd ones."""
    return max(2, 2 * round((clip.width or height) * height / (clip.height or height) / 2))


def _torso(joints: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """Return the median distance from the neck to the hips, which every thickness is measured in."""
    hips = (joints[:, _J["left_hip"], :2] + joints[:, _J["right_hip"], :2]) / 2
    length = np.linalg.norm(joints[:, _J["neck"], :2] - hips, axis=1)
    length = length[seen[:, [_J["neck"], _J["left_hip"], _J["right_hip"]]].all(1)]
    return float(np.median(length)) if length.size else 1.0


def _look(name: str) -> dict[str, Colour]:
    """Return the colours of a person by name, the same in every clip."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    shirt, trousers = rng.integers(30, 225, 3), rng.integers(25, 130, 3)
    return {
        "skin": _SKIN[rng.integers(len(_SKIN))],
        "hair": _HAIR[rng.integers(len(_HAIR))],
        "shirt": (int(shirt[0]), int(shirt[1]), int(shirt[2])),
        "trousers": (int(trousers[0]), int(trousers[1]), int(trousers[2])),
        # Short sleeves bare the forearm.
        "sleeve": (0, 0, 0) if rng.random() < 0.5 else (1, 1, 1),
    }


def _room(rng: np.random.Generator, width: int, height: int) -> Picture:
    """Return a wall and a floor with shading and grain."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError("rendering needs Pillow: pip install pillow") from error
    wall, floor = rng.integers(150, 225) + rng.integers(-14, 14, 3), rng.integers(110, 175) + rng.integers(-14, 14, 3)
    horizon = int(height * rng.uniform(0.72, 0.82))
    room = np.empty((height, width, 3), np.float32)
    room[:horizon], room[horizon:] = wall, floor
    room[horizon : horizon + max(1, height // 80)] = wall * 0.6
    across, down = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    light = 1 - 0.12 * rng.uniform(-1, 1) * across[None, :] - 0.10 * down[:, None] ** 2
    room *= light[..., None].astype(np.float32)
    grain = rng.normal(0, 7, (height // 8 + 1, width // 8 + 1)).astype(np.float32)
    coarse = Image.fromarray(grain).resize((width, height), Image.Resampling.BILINEAR)
    room += np.asarray(coarse)[..., None] + rng.normal(0, 3, (height, width, 1))
    return Image.fromarray(np.clip(room, 0, 255).astype(np.uint8))


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def _draw(
    picture: Picture, joints: NDArray[np.float32], seen: NDArray[np.bool_], torso: float, look: dict[str, Colour]
) -> None:
    """Draw one frame's person, the far parts first."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(picture)
    at = {name: (float(joints[i, 0]), float(joints[i, 1])) for name, i in _J.items() if seen[i]}
    depth = {name: float(joints[i, 2]) for name, i in _J.items()}

    def limb(a: str, b: str, wide: float, narrow: float, colour: Colour) -> None:
        """Draw a tapered capsule, darker along one edge."""
        if a not in at or b not in at:
            return
        (ax, ay), (bx, by) = at[a], at[b]
        across = np.array([ay - by, bx - ax], float)
        across /= max(float(np.hypot(*across)), 1e-6)
        for tint, share in ((0.78, 1.0), (1.0, 0.72)):
            ra, rb = wide * torso * share, narrow * torso * share
            fill = _shade(colour, tint)
            (ua, va), (ub, vb) = across * ra, across * rb
            pen.polygon([(ax + ua, ay + va), (bx + ub, by + vb), (bx - ub, by - vb), (ax - ua, ay - va)], fill=fill)
            pen.ellipse((ax - ra, ay - ra, ax + ra, ay + ra), fill=fill)
            pen.ellipse((bx - rb, by - rb, bx + rb, by + rb), fill=fill)

    def stool() -> None:
        if "left_hip" in at and "right_hip" in at:
            x, y = (at["left_hip"][0] + at["right_hip"][0]) / 2, (at["left_hip"][1] + at["right_hip"][1]) / 2
            feet = [at[name][1] for name in ("left_ankle", "right_ankle") if name in at]
            bottom = max(feet, default=y + torso) - 0.05 * torso
            top = [(x - 0.34 * torso, y + 0.10 * torso), (x + 0.34 * torso, y + 0.10 * torso)]
            pen.polygon([*top, (x + 0.42 * torso, bottom), (x - 0.42 * torso, bottom)], fill=(168, 40, 36))

    def trunk() -> None:
        corners = [name for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip") if name in at]
        if len(corners) == 4:
            pen.polygon([at[name] for name in corners], fill=look["shirt"])
            for a, b in (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")):
                limb(a, b, 0.13, 0.13, look["shirt"])
            for side in ("left", "right"):
                limb(f"{side}_shoulder", f"{side}_hip", 0.12, 0.15, look["shirt"])
            pen.polygon([at[name] for name in corners], fill=look["shirt"])
        if "neck" in at and "nose" in at:
            nx, ny = at["neck"]
            hx, hy = at["nose"]
            top = (nx + 0.55 * (hx - nx), ny + 0.6 * (hy - ny))
            pen.line([(nx, ny), top], fill=_shade(look["skin"], 0.85), width=max(1, round(0.22 * torso)))

    def head() -> None:
        face = [at[name] for name in ("nose", "left_eye", "right_eye") if name in at]
        if len(face) < 3 or "neck" not in at:
            return
        nose, left, right = (np.array(point) for point in face)
        ears = [np.array(at[name]) for name in ("left_ear", "right_ear") if name in at]
        # The middle of the head: between the ears, or as far behind the nose as the eyes' distance tells.
        middle = np.mean(ears, 0) if len(ears) == 2 else (left + right) / 2
        middle = 0.5 * middle + 0.5 * (left + right + nose) / 3
        tilt = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
        up = np.array([np.sin(tilt), -np.cos(tilt)])
        if up[1] > 0:
            up = -up
        for shift, wide, tall, colour in ((0.05, 0.180, 0.230, look["hair"]), (-0.035, 0.155, 0.19, look["skin"])):
            turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
            right_of = np.array([-up[1], up[0]])
            centre = middle + up * shift * torso
            edge = centre + np.outer(np.cos(turn), right_of) * wide * torso + np.outer(np.sin(turn), up) * tall * torso
            pen.polygon([(float(x), float(y)) for x, y in edge], fill=colour)
        for x, y in face[1:]:
            r = 0.017 * torso
            pen.ellipse((x - 1.5 * r, y - r, x + 1.5 * r, y + r), fill=(35, 30, 30))
        r = 0.022 * torso
        pen.ellipse((nose[0] - r, nose[1] - r, nose[0] + r, nose[1] + r), fill=_shade(look["skin"], 0.75))
        mouth = nose - up * 0.105 * torso
        x, y = mouth
        pen.ellipse((x - 2.4 * r, y - 0.6 * r, x + 2.4 * r, y + 0.6 * r), fill=(150, 70, 70))

    def leg(side: str) -> None:
        ankle = f"{side}_ankle"
        if ankle in at:
            x, y = at[ankle]
            out = 0.05 if side == "left" else -0.05
            at[f"{side}_toe"] = (x + out * torso, y + 0.17 * torso)
            limb(ankle, f"{side}_toe", 0.07, 0.085, _SHOE)
        limb(f"{side}_knee", ankle, 0.115, 0.075, _shade(look["trousers"], 0.9))
        limb(f"{side}_hip", f"{side}_knee", 0.15, 0.125, look["trousers"])

    def arm(side: str) -> None:
        limb(f"{side}_shoulder", f"{side}_elbow", 0.10, 0.08, _shade(look["shirt"], 0.92))
        limb(f"{side}_elbow", f"{side}_wrist", 0.075, 0.055, look["shirt"] if look["sleeve"][0] else look["skin"])
        for finger in FINGERS:
            limb(f"{side}_wrist", f"{side}_{finger}_tip", 0.048, 0.022, look["skin"])

    def near(side: str) -> float:
        return depth[f"{side}_wrist"] + depth[f"{side}_middle_tip"]

    trunk_depth = depth["neck"] + depth["left_hip"]
    arms = sorted(("left", "right"), key=near, reverse=True)
    behind = [side for side in arms if near(side) > trunk_depth + 0.16 * torso]
    face_depth = 2 * depth["nose"]
    stool()
    for side in behind:
        if depth[f"{side}_middle_tip"] * 2 > face_depth:
            arm(side)
    legs = sorted(("left", "right"), key=lambda name: depth[f"{name}_knee"], reverse=True)
    # The lap covers the shirt, unless the person bends over it.
    under = [side for side in legs if depth[f"{side}_knee"] >= depth["neck"]]
    for side in under:
        leg(side)
    trunk()
    for side in legs:
        if side not in under:
            leg(side)
    head()
    for side in arms:
        if side not in behind:
            arm(side)
