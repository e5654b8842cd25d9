"""A seated person in 3-D: joints from a few body channels and two hand targets, by forward and inverse kinematics.

The person's own axes: x to their left, y up, z forward, in metres, the origin between the hips. Coordinates come first
and frames last, so that every operation runs over long contiguous rows.

Shapes: B clips, T frames, 2 sides (left, right), 3 coordinates, V joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_pose.data.simulate_curves import Floats
from pcan_pose.data.simulate_geometry import cross, dot, place, rotation, two_bones, unit
from pcan_pose.data.simulate_motion import BODY, FRAMES
from pcan_pose.skeleton import skeleton

LAYOUT = skeleton("openpose28")
SIDE: Floats = np.array([1.0, -1.0], dtype=np.float32).reshape(2, 1, 1)
FLOOR = 0.50
ANKLE_HEIGHT = 0.08

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Thumb to little finger, in hand lengths: how far ahead of the wrist, and how far to the thumb's side.
FINGER_LENGTH = (0.62, 0.95, 1.0, 0.95, 0.82)
FINGER_SIDE = (0.34, 0.17, 0.03, -0.10, -0.22)

# In head coordinates: outward, up, forward.
NOSE = (0.0, -0.015, 0.11)
EYE = (0.033, 0.028, 0.085)
EAR = (0.075, 0.0, 0.0)


@dataclass(frozen=True)
class Build:
    """The bodies of B clips; every length is float32 (B, 1) in metres.

    Attributes:
        size: The size of the person relative to the motion table's, which every target is scaled by.
        shoulder, hip: Half the widths.
        trunk, neck: From the hips to the neck; from the neck to the middle of the head.
        upper_arm, forearm, hand, thigh, shank: Bone lengths.
        feet: (3, 2, B, 1) where the ankles rest.
    """

    size: Floats
    shoulder: Floats
    hip: Floats
    trunk: Floats
    neck: Floats
    upper_arm: Floats
    forearm: Floats
    hand: Floats
    thigh: Floats
    shank: Floats
    feet: Floats


@dataclass(frozen=True)
class Hands:
    """What both hands do in B clips.

    Attributes:
        frame: (2, B) int64 indices into ``FRAMES``.
        rest_frame: (2, B) int64 indices into ``FRAMES``.
        at, rest_at: (3, 2, B, T) and (3, 2, B, 1) contact points (outward, up, forward) in their frames.
        point, rest_point: (3, 2, B, 1) directions of the hand in their frames.
        elbow: (3, 2, B, T) directions of the elbow in the trunk's frame.
        weight: (2, B, T) how far on the way from rest to the target, 0 to 1.
        grip: (2, B, T) share of the hand that reaches the contact point.
        curl: (5, 2, B, T) bending of the fingers, thumb to little finger, 0 to 1.
        drift: (3, 2, B, T) metres added to the hand's position.
    """

    frame: NDArray[np.int64]
    rest_frame: NDArray[np.int64]
    at: Floats
    rest_at: Floats
    point: Floats
    rest_point: Floats
    elbow: Floats
    weight: Floats
    grip: Floats
    curl: Floats
    drift: Floats


def pose(build: Build, body: Floats, legs: Floats, hands: Hands) -> Floats:
    """Return the joints of layout openpose28 in the person's axes, float32 (V, 3, B, T), in metres.

    Args:
        build: The bodies.
        body: (10, B, T) the channels ``BODY``, rest posture included; metres and radians, to the person's left.
        legs: (4, 2, B, T) the channels ``LEG`` of the left and the right leg, outward.
        hands: What the hands do.
    """
    value = dict(zip(BODY, body, strict=True))
    pelvis = np.stack([value["pelvis_x"], value["pelvis_y"], value["pelvis_z"]]) * build.size  # (3, B, T)
    trunk = rotation(value["trunk_pitch"], value["trunk_yaw"], value["trunk_roll"])
    # People keep their eyes on what is before them: the head follows the trunk in part only.
    head = rotation(
        value["head_pitch"] + value["trunk_pitch"] * np.float32(0.6),
        value["head_yaw"] + value["trunk_yaw"],
        value["head_roll"] + value["trunk_roll"] * np.float32(0.5),
    )
    neck = pelvis + trunk[1] * build.trunk
    shoulder = (
        neck[:, None]
        + trunk[0][:, None] * (SIDE * build.shoulder)
        + trunk[1][:, None] * (value["shrug"] - np.float32(0.02) * build.size)
    )  # (3, 2, B, T)
    skull = neck + trunk[1] * (0.45 * build.neck) + place(head, (0.0, 0.55 * build.neck, 0.02 * build.size))

    across = np.zeros((3, 1, 1, 1), np.float32)
    across[0] = 1
    hip = pelvis[:, None] + across * (SIDE * build.hip)  # (3, 2, B, T)
    ankle = build.feet + np.stack([legs[0] * SIDE, legs[1], legs[2]]) * build.size
    bend = np.stack([SIDE * legs[3], np.full_like(legs[3], 0.75), np.full_like(legs[3], 0.65)])
    knee, ankle = two_bones(hip, ankle, build.thigh, build.shank, bend)

    elbow, wrist, tips = _arms(build, hands, pelvis, trunk, head, skull, shoulder, hip, knee, ankle)

    def on_head(spot: tuple[float, float, float], side: int = 0) -> Floats:
        x, y, z = spot
        return skull + place(head, (x * side * build.size, y * build.size, z * build.size))

    joints = {"nose": on_head(NOSE), "neck": neck}
    for s, (name, sign) in enumerate((("left", 1), ("right", -1))):
        joints |= {f"{name}_eye": on_head(EYE, sign), f"{name}_ear": on_head(EAR, sign)}
        joints |= {f"{name}_shoulder": shoulder[:, s], f"{name}_elbow": elbow[:, s], f"{name}_wrist": wrist[:, s]}
        joints |= {f"{name}_hip": hip[:, s], f"{name}_knee": knee[:, s], f"{name}_ankle": ankle[:, s]}
        joints |= {f"{name}_{finger}_tip": tip[:, s] for finger, tip in zip(FINGERS, tips, strict=True)}
    return np.stack([joints[joint] for joint in LAYOUT.joints])


def _segment(start: Floats, end: Floats) -> Floats:
    """Return the axes (3 axes, 3, ...) of a limb: z along it, y as far up as it can be, x to the left."""
    along = unit(end - start)
    up = np.zeros_like(along)
    up[1], up[2] = 1.0, 0.3
    up = unit(up - along * dot(up, along))
    return np.stack([cross(up, along), up, along])


def _arms(
    build: Build,
    hands: Hands,
    pelvis: Floats,
    trunk: Floats,
    head: Floats,
    skull: Floats,
    shoulder: Floats,
    hip: Floats,
    knee: Floats,
    ankle: Floats,
) -> tuple[Floats, Floats, list[Floats]]:
    """Return elbows and wrists (3, 2, B, T), and five fingertips of that shape."""
    size = build.size
    world = np.broadcast_to(np.eye(3, dtype=np.float32)[:, :, None, None], trunk.shape)
    thigh = _segment(hip, knee)
    frames: dict[str, list[tuple[Floats, Floats]]] = {
        "world": [(pelvis, world)] * 2,
        "trunk": [(pelvis, trunk)] * 2,
        "head": [(skull, head)] * 2,
        "thigh": [(hip[:, s], thigh[:, :, s]) for s in (0, 1)],
        "other_thigh": [(hip[:, s], thigh[:, :, s]) for s in (1, 0)],
        "foot": [(ankle[:, s], world) for s in (0, 1)],
    }

    def settle(choice: NDArray[np.int64], at: Floats, point: Floats, contact: Floats, ahead: Floats) -> None:
        """Write contact points and hand directions of the clips whose hand goes to one of ``frames``."""
        for name, sides in frames.items():
            for s, (origin, axes) in enumerate(sides):
                rows = np.flatnonzero(choice[s] == FRAMES.index(name))
                if rows.size:
                    sign = np.float32(1 - 2 * s)
                    local, way = at[:, s, rows] * size[rows], point[:, s, rows]
                    frame = axes[:, :, rows]
                    contact[:, s, rows] = origin[:, rows] + place(frame, (local[0] * sign, local[1], local[2]))
                    ahead[:, s, rows] = unit(place(frame, (way[0] * sign, way[1], way[2])))

    rest = np.zeros_like(shoulder)  # (3, 2, B, T)
    rest_ahead = np.zeros_like(shoulder)
    settle(hands.rest_frame, hands.rest_at, hands.rest_point, rest, rest_ahead)
    rest += hands.drift

    mirror = np.stack([SIDE, np.ones_like(SIDE), np.ones_like(SIDE)])  # (3, 2, 1, 1)
    contact = rest + hands.at * mirror * size  # what ``rest`` means; the others overwrite it
    ahead = np.broadcast_to(unit(hands.point * mirror), shoulder.shape).copy()
    settle(hands.frame, hands.at, hands.point, contact, ahead)

    on_forearm = hands.frame == FRAMES.index("other_forearm")
    rows = np.flatnonzero(on_forearm.any(0))
    if rows.size:
        part = np.where(on_forearm[:, rows, None], np.float32(0), hands.weight[:, rows])
        elbow, wrist, _ = _reach(build, hands, trunk, shoulder, rest, rest_ahead, contact, ahead, part, rows)
        for s in (0, 1):
            own = on_forearm[s, rows]
            axes = _segment(elbow[:, 1 - s, own], wrist[:, 1 - s, own])
            local, way = hands.at[:, s, rows[own]] * size[rows[own]], hands.point[:, s, rows[own]]
            sign = np.float32(1 - 2 * s)
            contact[:, s, rows[own]] = elbow[:, 1 - s, own] + place(axes, (local[0] * sign, local[1], local[2]))
            # The forearm's axes turn with it; a hand laid on it keeps its direction relative to the trunk instead.
            ahead[:, s, rows[own]] = unit(place(trunk[:, :, rows[own]], (way[0] * sign, way[1], way[2])))
    everyone = slice(None)
    return _reach(build, hands, trunk, shoulder, rest, rest_ahead, contact, ahead, hands.weight, everyone)


def _reach(
    build: Build,
    hands: Hands,
    trunk: Floats,
    shoulder: Floats,
    rest: Floats,
    rest_ahead: Floats,
    contact: Floats,
    ahead: Floats,
    weight: Floats,
    rows: NDArray[np.int64] | slice,
) -> tuple[Floats, Floats, list[Floats]]:
    """Return elbows, wrists and five fingertips (3, 2, rows, T) for hands on the way from rest to contact."""
    size, hand = build.size[rows], build.hand[rows]
    trunk, shoulder = trunk[:, :, rows], shoulder[:, :, rows]
    rest, contact = rest[:, :, rows], contact[:, :, rows]
    spot = rest + weight * (contact - rest)
    # A hand lifts off its rest and travels in an arc in front of the body.
    spot[2] += weight * (1 - weight) * np.float32(0.22) * size
    way = unit(rest_ahead[:, :, rows] + weight * (ahead[:, :, rows] - rest_ahead[:, :, rows]))

    inward = np.stack([SIDE * np.float32(-0.5), np.full_like(SIDE, -0.6), np.full_like(SIDE, -0.6)])
    palm = unit(inward - way * dot(inward, way))
    thumbward = cross(way, palm) * -SIDE
    curl = hands.curl[:, :, rows]

    def tip(finger: int) -> Floats:
        ahead_of = FINGER_LENGTH[finger] * (1 - np.float32(0.5) * curl[finger])
        aside = FINGER_SIDE[finger] * (1 - np.float32(0.35) * curl[finger])
        along: Floats = hand * (way * ahead_of + thumbward * aside + palm * (np.float32(0.32) * curl[finger]))
        return along

    fingers = [tip(finger) for finger in range(5)]
    wrist = spot - fingers[1] * hands.grip[:, rows]
    pole = hands.elbow[:, :, rows]
    pole = place(trunk[:, :, None], (pole[0] * SIDE, pole[1], pole[2]))
    elbow, wrist = two_bones(shoulder, wrist, build.upper_arm[rows], build.forearm[rows], pole)
    return elbow, wrist, [wrist + finger for finger in fingers]
