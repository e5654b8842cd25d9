"""What simulated people do in a block of clips: subjects with habits, an action each, and movements on the side.

Shapes: B clips of a block, T frames, V joints, S subjects, 2 sides (left, right), K variants of motions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcan_pose.data.simulate_body import ANKLE_HEIGHT, FLOOR, Build, Hands, pose
from pcan_pose.data.simulate_curves import Draws, Floats, smooth
from pcan_pose.data.simulate_motion import BODY, FRAMES, LATERAL, LEG, SHIFTS
from pcan_pose.data.simulate_motion_arrays import motion_arrays, reach_row
from pcan_pose.data.simulate_motions import RESTS

SHORTEST, LONGEST = 1.5, 2.5

# How clips differ in posture, and how much a person at rest sways within one: metres and degrees.
_POSTURE = {
    "pelvis_x": (0.02, 0.002),
    "pelvis_y": (0.004, 0.001),
    "pelvis_z": (0.02, 0.002),
    "shrug": (0.006, 0.0015),
    "trunk_pitch": (3.0, 0.7),
    "trunk_roll": (1.6, 0.6),
    "trunk_yaw": (3.0, 0.8),
    "head_pitch": (4.0, 1.5),
    "head_roll": (3.0, 1.1),
    "head_yaw": (6.0, 2.0),
}


@dataclass(frozen=True)
class People:
    """The bodies and habits of S subjects.

    Attributes:
        size: (S,) relative to an adult of 1.75 m.
        ratios: (S, 6) factors for shoulders, trunk, neck, arms, hands and legs.
        slouch: (S,) radians that the trunk leans forward.
        chin: (S,) radians that the head is lowered.
        stance: (S, 3) standard scores: knees apart, feet apart, feet ahead.
        lefty: (S,) probability that the left side acts.
        tempo: (S,) factor on speeds.
        vigour: (S,) factor on amplitudes.
        aim: (S, 3) metres that the hand aims beside a target.
        rest: (S,) int64, the usual one of ``RESTS``.
    """

    size: Floats
    ratios: Floats
    slouch: Floats
    chin: Floats
    stance: Floats
    lefty: Floats
    tempo: Floats
    vigour: Floats
    aim: Floats
    rest: NDArray[np.int64]


@dataclass(frozen=True)
class _Course:
    """An action over time: its variant (B,), how far it is carried out (B, T), and its repetition's phase (B, T)."""

    variant: NDArray[np.int64]
    weight: Floats
    turn: Floats


@dataclass(frozen=True)
class _Act:
    """Who does what in B clips.

    Attributes:
        subject: (B,) int64.
        left: (B,) bool, whether the left side is the active one.
        both: (B,) bool, whether the other side does the same.
        main: The labelled action.
        aside: Another action that shows faintly at the same time.
        faintness: (B, 1) its amplitude, 0 where there is none.
        vigour: (B, 1) factor on the labelled action's amplitude.
    """

    subject: NDArray[np.int64]
    left: NDArray[np.bool_]
    both: NDArray[np.bool_]
    main: _Course
    aside: _Course
    faintness: Floats
    vigour: Floats


def draw_people(rng: np.random.Generator, subjects: int) -> People:
    """Return S subjects; subject 3 is the same person among 5 and among 500."""
    # One row of numbers a subject, drawn row by row.
    normal = rng.standard_normal((subjects, 20)).astype(np.float32)
    # The fraction of a standard normal number is uniform to 1e-8.
    habit = normal[:, 17:] - np.floor(normal[:, 17:])
    return People(
        size=0.80 + 0.26 * habit[:, 0],
        ratios=1 + 0.04 * np.clip(normal[:, :6], -2, 2),
        slouch=np.deg2rad(7 + 4 * normal[:, 6]),
        chin=np.deg2rad(3 + 4 * normal[:, 7]),
        stance=normal[:, 8:11],
        lefty=0.15 + 0.7 * habit[:, 1],
        tempo=np.exp(0.14 * normal[:, 11]),
        vigour=np.exp(0.16 * normal[:, 12]),
        aim=0.010 * normal[:, 13:16],
        rest=np.minimum((habit[:, 2] * len(RESTS)).astype(np.int64), len(RESTS) - 1),
    )


def enact(
    rng: np.random.Generator, people: People, labels: NDArray[np.int64], ambiguity: float, fps: float
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Return the joints (V, 3, B, T) in metres, the subjects (B,) and the numbers of frames (B,) of a block.

    Args:
        rng: The block's random stream.
        people: The subjects to choose from.
        labels: (B,) int64 actions.
        ambiguity: As in ``SimulationConfig``.
        fps: Frames a second.
    """
    longest = int(np.rint(LONGEST * fps))
    draws = Draws(rng, len(labels), (np.arange(longest) / fps).astype(np.float32))
    duration = draws.uniform(SHORTEST, LONGEST)
    frames = np.rint(duration[:, 0] * fps).astype(np.int64)
    act = _decide(draws, people, labels, duration, ambiguity)
    body, legs = _channels(draws, people, act)
    hands = _hands(draws, people, act, ambiguity)
    return pose(_build(draws, people, act.subject), body, legs, hands), act.subject, frames


def _decide(draws: Draws, people: People, labels: NDArray[np.int64], duration: Floats, hard: float) -> _Act:
    """Return who does which variant of the action, how, and what else shows."""
    table = motion_arrays()
    subject = draws.choice(len(people.size))
    tempo = people.tempo[subject][:, None] * np.exp(draws.normal(0.12))
    variant = table.variants[labels, draws.choice(table.counts[labels])]
    return _Act(
        subject=subject,
        left=draws.chance(people.lefty[subject][:, None])[:, 0],
        both=draws.chance(table.chance[variant, :1])[:, 0],
        main=_course(draws, variant, duration, tempo),
        # People do more than one thing at a time: this is what makes the body parts overlap.
        aside=_course(draws, draws.choice(len(table.action)), duration, tempo),
        faintness=np.where(draws.chance(0.6 * hard), draws.uniform(0.12, 0.42), np.float32(0)),
        vigour=np.clip(people.vigour[subject][:, None] * np.exp(draws.normal(0.26 * hard)), 0.4, 1.9),
    )


def _course(draws: Draws, variant: NDArray[np.int64], duration: Floats, tempo: Floats) -> _Course:
    """Return when a variant begins and ends, and how it repeats."""
    table = motion_arrays()
    leave = table.leave[variant][:, None]
    already = draws.chance(table.chance[variant, 1:2]) & ~leave
    stays = draws.chance(table.chance[variant, 2:3])
    onset = np.where(already, np.float32(-1), draws.uniform(0.03, 0.28) * duration)
    end = np.where(stays, np.float32(100), draws.uniform(0.62, 0.95) * duration)
    up = smooth((draws.seconds - onset) * (tempo / draws.uniform(0.28, 0.6)))
    down = smooth((draws.seconds - end) * (tempo / draws.uniform(0.28, 0.6)))
    slow, fast = table.freq[variant, :1], table.freq[variant, 1:]
    freq = (slow + draws.uniform() * (fast - slow)) * tempo
    turn = np.float32(2 * np.pi) * (freq * draws.seconds + draws.uniform()) + np.float32(0.5) * draws.wander(1.5)
    return _Course(variant, np.where(leave, 1 - up, up * (1 - down)), turn)


def _channels(draws: Draws, people: People, act: _Act) -> tuple[Floats, Floats]:
    """Return the channels ``BODY`` (10, B, T) and ``LEG`` (4, 2, B, T), posture and idle movement included."""
    table = motion_arrays()
    main, aside = act.main, act.aside

    def moved(course: _Course, gain: Floats) -> Floats:
        held = (course.weight * gain)[None] * table.hold[course.variant].T[..., None]
        # The repeated movement sets in after the pose is taken up.
        return held + (course.weight**2 * np.sin(course.turn) * gain)[None] * table.osc[course.variant].T[..., None]

    channels = moved(main, act.vigour) + moved(aside, act.faintness)  # (18, B, T)
    body, active, other = np.split(channels, [len(BODY), len(BODY) + len(LEG)])
    same = act.both & (table.hold[main.variant, len(BODY) + len(LEG) :] == 0).all(1)
    other = np.where(same[:, None], active * draws.uniform(0.8, 1.1), other)
    left = act.left[:, None]
    legs = np.stack([np.where(left, active, other), np.where(left, other, active)], 1)
    body[[BODY.index(name) for name in LATERAL]] *= np.where(left, np.float32(1), np.float32(-1))

    habit = {"trunk_pitch": people.slouch, "head_pitch": people.chin}
    sway = draws.wander(1.2, lead=(len(BODY),))
    for channel, name in enumerate(BODY):
        unit = 1.0 if name in SHIFTS else np.pi / 180
        spread, amount = (value * unit for value in _POSTURE[name])
        body[channel] += draws.normal(spread) + sway[channel] * np.float32(amount)
        if name in habit:
            body[channel] += habit[name][act.subject][:, None]
    breath = np.sin(np.float32(2 * np.pi) * (draws.uniform(0.2, 0.33) * draws.seconds + draws.uniform()))
    body[BODY.index("shrug")] += np.float32(0.003) * breath
    body[BODY.index("trunk_pitch")] -= np.float32(0.006) * breath
    knees = np.float32(0.21) + np.float32(0.12) * people.stance[act.subject, :1] + draws.normal(0.07)
    legs[LEG.index("knee_out")] += knees + np.float32(0.02) * draws.wander(1.0, lead=(2,))
    return body, legs


def _build(draws: Draws, people: People, subject: NDArray[np.int64]) -> Build:
    """Return the bodies of the clips, and where their feet stand this time."""
    size = people.size[subject][:, None]
    shoulder, trunk, neck, arm, hand, leg = people.ratios[subject].T[..., None]  # (B, 1) each
    _, apart, ahead = people.stance[subject].T[..., None]
    side = np.array([1, -1], np.float32).reshape(2, 1, 1)
    lift = np.broadcast_to(np.float32(ANKLE_HEIGHT - FLOOR) + draws.normal(0.004), (2, len(subject), 1))
    out = np.float32(0.13) + np.float32(0.025) * apart + draws.uniform(-0.03, 0.03, lead=(2,))
    forward = np.float32(0.36) + np.float32(0.05) * ahead + draws.normal(0.03, lead=(2,))
    return Build(
        size=size,
        shoulder=0.175 * size * shoulder,
        hip=0.10 * size,
        trunk=0.48 * size * trunk,
        neck=0.21 * size * neck,
        upper_arm=0.29 * size * arm,
        forearm=0.25 * size * arm,
        hand=0.175 * size * hand,
        thigh=0.42 * size * leg,
        shank=0.41 * size * leg,
        feet=np.stack([out * side, lift, forward]) * size,
    )


def _hands(draws: Draws, people: People, act: _Act, hard: float) -> Hands:
    """Return what the hands do: rest, reach as the action says, or hint at another action."""
    table = motion_arrays()
    main, aside = act.main, act.aside
    rest, rest_frame = _resting(draws, people, act.subject)

    # Which reach the active and the other arm follow; frame -1 stays at rest.
    reach, frame = table.reach[main.variant], table.frame[main.variant]  # (B, 2, 19), (B, 2)
    follows = act.both & (frame[:, 1] < 0)
    reach[follows, 1], frame[follows, 1] = reach[follows, 0], frame[follows, 0]
    hinted = (table.frame[aside.variant, :1] >= 0) & (act.faintness > 0)
    hint = (frame < 0) & hinted & draws.chance(0.5, lead=(2,))[..., 0].T
    reach = np.where(hint[..., None], table.reach[aside.variant, :1], reach)
    frame = np.where(hint, table.frame[aside.variant, :1], frame)
    # From (active, other) to (left, right).
    arms = np.where(act.left[:, None], [0, 1], [1, 0])
    row = np.arange(draws.clips)[:, None]
    value, frame, hint = reach[row, arms].transpose(2, 1, 0)[..., None], frame[row, arms].T, hint[row, arms].T

    # Not everybody reaches the target quite.
    whole = 1 - np.float32(min(0.12 * hard, 0.6)) * draws.uniform(lead=(2,)) ** 2
    swing = np.where(hint[..., None], aside.weight * (np.float32(1.3) * act.faintness), main.weight * whole)
    swing = np.where(frame[..., None] < 0, np.float32(0), swing)  # (2, B, T)

    size = np.exp(draws.normal(0.28 * hard, lead=(2,))) * swing
    aim = people.aim[act.subject].T[:, None, :, None]
    sine, cosine = np.sin(main.turn) * size, np.cos(main.turn) * size
    target = value[:3] + np.float32(hard) * (draws.normal(0.013, lead=(3, 2)) + aim)
    elbow = rest[6:9] + draws.normal(0.15, lead=(3, 2))

    fingers = np.arange(5, dtype=np.float32)[:, None, None, None]
    index_only = fingers == 1
    own = np.where(index_only, value[17], value[16])  # (5, 2, B, 1)
    calm = rest[16] + draws.normal(0.08, lead=(5, 2))
    ripple = np.sin(main.turn + np.float32(0.7) * fingers)
    curl = calm + swing * (own - calm) + (value[18] * size) * ripple
    return Hands(
        frame=np.maximum(frame, 0),
        rest_frame=rest_frame,
        at=target + value[9:12] * sine + value[12:15] * cosine,
        rest_at=rest[:3] + draws.normal(0.016, lead=(3, 2)),
        point=value[3:6] + draws.normal(0.12 * hard, lead=(3, 2)),
        rest_point=rest[3:6] + draws.normal(0.12, lead=(3, 2)),
        elbow=elbow + swing * (value[6:9] - elbow),
        weight=swing,
        grip=rest[15] + swing * (value[15] - rest[15]),
        # The thumb bends less than the fingers.
        curl=np.clip(curl, 0, 1) * np.where(fingers == 0, np.float32(0.6), np.float32(1)),
        drift=np.float32(0.005) * draws.wander(1.2, lead=(3, 2)),
    )


def _resting(draws: Draws, people: People, subject: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return how both hands rest, (19, 2, B, 1) as in ``reach_row``, and in which frame (2, B)."""
    rows = np.array([reach_row(rest) for rest in RESTS], dtype=np.float32)
    frames = np.array([FRAMES.index(rest.frame) for rest in RESTS])
    usual = draws.chance(0.55)[:, 0]
    kind = np.where(usual, people.rest[subject], draws.choice(len(RESTS)))
    # Now and then one hand lies on its thigh or knee while the other keeps its place.
    kind = np.where(draws.chance(0.08, lead=(2,))[..., 0], draws.choice(2, lead=(2,)), kind)  # (2, B)
    return rows[kind].transpose(2, 0, 1)[..., None], frames[kind]
