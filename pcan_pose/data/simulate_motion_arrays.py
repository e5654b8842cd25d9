"""The table of motions as arrays, so that clips of different actions move in the same array operation.

Shapes: K variants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pcan_pose.data.simulate_motion import ANGLES, BODY, FRAMES, LEG, Reach
from pcan_pose.data.simulate_motions import MOTIONS, THIGH
from pcan_pose.taxonomy import MA52


@dataclass(frozen=True)
class MotionArrays:
    """The motion table as arrays, one row for each of K variants; angles in radians.

    Attributes:
        action: (K,) int64 action ids.
        hold, osc: (K, 10 + 2 * 4) float32: ``BODY``, then ``LEG`` of the active leg, then of the other one.
        freq: (K, 2) float32 in Hz.
        chance: (K, 3) float32: ``both``, ``already``, ``stays``.
        leave: (K,) bool.
        reach: (K, 2, 19) float32 for the active and the other arm, as ``reach_row`` lays it out.
        frame: (K, 2) int64 indices into ``FRAMES``; -1 leaves the arm at rest.
        variants: (52, most) int64 rows of each action, repeated to fill, and ``counts`` (52,) how many there are.
    """

    action: NDArray[np.int64]
    hold: NDArray[np.float32]
    osc: NDArray[np.float32]
    freq: NDArray[np.float32]
    chance: NDArray[np.float32]
    leave: NDArray[np.bool_]
    reach: NDArray[np.float32]
    frame: NDArray[np.int64]
    variants: NDArray[np.int64]
    counts: NDArray[np.int64]


def reach_row(reach: Reach) -> list[float]:
    """Return 19 numbers: at, point, elbow, osc and circle (3 each), grip 15, curl 16, index finger 17, curl_osc 18."""
    index = reach.curl if reach.index is None else reach.index
    scalars = (reach.grip, reach.curl, index, reach.curl_osc)
    return [*reach.at, *reach.point, *reach.elbow, *reach.osc, *reach.circle, *scalars]


@cache
def motion_arrays() -> MotionArrays:
    """Return the table of motions as arrays, compiled once."""
    channels = (*BODY, *LEG, *(f"other_{name}" for name in LEG))
    unit = np.array([np.pi / 180 if name in ANGLES else 1.0 for name in channels])

    def rows(values: list[Mapping[str, float]]) -> NDArray[np.float32]:
        table = np.array([[row.get(name, 0.0) for name in channels] for row in values])
        return (table * unit).astype(np.float32)

    action = np.array([MA52.actions.index(motion.action) for motion in MOTIONS], dtype=np.int64)
    arms = [(motion.arm, motion.other) for motion in MOTIONS]
    # The reach of an idle arm is never read, but it has to be a row of numbers.
    reach = np.array([[reach_row(arm or THIGH) for arm in pair] for pair in arms], dtype=np.float32)
    frame = np.array([[FRAMES.index(arm.frame) if arm else -1 for arm in pair] for pair in arms], dtype=np.int64)
    counts = np.bincount(action, minlength=MA52.num_actions)
    most = int(counts.max())
    variants = np.array([np.resize(np.flatnonzero(action == k), most) for k in range(MA52.num_actions)], dtype=np.int64)
    return MotionArrays(
        action=action,
        hold=rows([motion.hold for motion in MOTIONS]),
        osc=rows([motion.osc for motion in MOTIONS]),
        freq=np.array([motion.freq for motion in MOTIONS], dtype=np.float32),
        chance=np.array([(motion.both, motion.already, motion.stays) for motion in MOTIONS], dtype=np.float32),
        leave=np.array([motion.leave for motion in MOTIONS]),
        reach=reach,
        frame=frame,
        variants=variants,
        counts=counts.astype(np.int64),
    )
