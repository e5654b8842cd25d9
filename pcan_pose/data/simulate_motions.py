"""The motions behind simulated MA-52 clips: one or more variants for each of the 52 actions, as plain numbers.

Units and signs are those of `pcan_pose.data.simulate_motion`.
"""

from pcan_pose.data.simulate_motion import ELBOW_OUT, Motion, Reach, Vector


def _lap(z: float, y: float = 0.09, *, osc: Vector = (0.0, 0.0, 0.0), curl_osc: float = 0.0) -> Reach:
    """Return a hand that meets the other one in front of the belly."""
    point = (-0.55, -0.1, 0.8)
    return Reach(frame="world", at=(0.005, y, z), point=point, grip=0.6, curl=0.45, osc=osc, curl_osc=curl_osc)


_HAIR = Reach(frame="head", at=(0.045, 0.125, 0.02), point=(-0.5, 0.7, -0.45), elbow=ELBOW_OUT)
_CHEEK = Reach(frame="head", at=(0.055, -0.04, 0.08), point=(-0.35, 0.8, -0.45))
_EYE = Reach(frame="head", at=(0.034, 0.025, 0.095), point=(-0.4, 0.75, -0.5))
_NOSE = Reach(frame="head", at=(0.004, -0.015, 0.115), curl=0.5, index=0.15)
_FORWARD = Reach(frame="trunk", at=(0.20, 0.30, 0.52), point=(0.05, 0.1, 1.0), grip=0.2, curl=0.1)
_TALK = Reach(frame="trunk", at=(0.14, 0.24, 0.33), point=(0.0, 0.4, 0.9), grip=0.3, curl=0.2,
              osc=(0.04, 0.06, 0.03), circle=(0.03, 0.0, 0.03), curl_osc=0.1)  # fmt: skip
THIGH = Reach(frame="thigh", at=(0.0, 0.075, 0.27), point=(-0.25, -0.1, 0.95), grip=0.5, curl=0.2)

# fmt: off
MOTIONS: tuple[Motion, ...] = (
    # body
    Motion(action="shaking body", osc={"trunk_roll": 5.0, "head_roll": -2.0}, freq=(0.7, 1.8), already=0.5),
    Motion(action="shaking body", osc={"trunk_pitch": 5.0, "head_pitch": -2.0}, freq=(0.7, 1.8), already=0.5),
    Motion(action="sitting straightly", hold={"trunk_pitch": -9.0, "pelvis_y": 0.012, "head_pitch": -4.0}, stays=0.8),
    Motion(action="shrugging", hold={"shrug": 0.045}, stays=0.05),
    Motion(action="shrugging", hold={"shrug": 0.04}, stays=0.05, both=1.0,
           arm=Reach(frame="rest", at=(0.07, 0.09, 0.02), point=(0.5, 0.2, 0.8), grip=0.4, curl=0.1)),
    Motion(action="turning around", hold={"trunk_yaw": 42.0, "head_yaw": 25.0, "pelvis_x": 0.02}, stays=0.6),
    Motion(action="turning around", hold={"trunk_yaw": 28.0, "head_yaw": 30.0, "trunk_roll": 6.0}, stays=0.5),
    Motion(action="rising up", hold={"pelvis_y": 0.30, "pelvis_z": 0.22, "trunk_pitch": 12.0}, stays=0.9),
    Motion(action="rising up", hold={"pelvis_y": 0.12, "pelvis_z": 0.12, "trunk_pitch": 24.0}, stays=0.4),
    # head
    Motion(action="bowing head", hold={"head_pitch": 24.0, "trunk_pitch": 3.0}, stays=0.6),
    Motion(action="head up", hold={"head_pitch": -17.0}, stays=0.6),
    Motion(action="head up", hold={"head_pitch": 20.0}, leave=True),
    Motion(action="tilting head", hold={"head_roll": 14.0, "head_yaw": 4.0}, stays=0.6),
    Motion(action="turning head", hold={"head_yaw": 30.0, "head_roll": 3.0}, stays=0.5),
    Motion(action="nodding", hold={"head_pitch": 6.0}, osc={"head_pitch": 7.0}, freq=(1.1, 2.4), stays=0.3),
    Motion(action="shaking head", osc={"head_yaw": 14.0, "head_roll": 2.0}, freq=(0.9, 2.2), stays=0.3),
    # upper limb
    Motion(action="scratching arms", freq=(2.2, 4.5), already=0.3, stays=0.6,
           arm=Reach(frame="other_forearm", at=(0.02, 0.045, 0.14), point=(-0.85, -0.3, -0.1), curl=0.4,
                     osc=(0.0, 0.0, 0.03), curl_osc=0.15)),
    Motion(action="scratching arms", freq=(2.2, 4.5), already=0.3, stays=0.6,
           arm=Reach(frame="trunk", at=(-0.20, 0.34, 0.06), point=(-0.9, 0.2, -0.25), curl=0.4,
                     osc=(0.0, 0.03, 0.0), curl_osc=0.15)),
    Motion(action="playing objects", hold={"head_pitch": 11.0}, freq=(1.0, 3.0), already=0.6, stays=0.9, both=1.0,
           arm=_lap(0.30, 0.14, osc=(0.01, 0.012, 0.0), curl_osc=0.25)),
    Motion(action="playing objects", hold={"head_pitch": 6.0}, freq=(1.0, 3.0), already=0.6, stays=0.9,
           arm=_lap(0.26, 0.13, osc=(0.02, 0.01, 0.01), curl_osc=0.2)),
    Motion(action="putting hands together", both=1.0, stays=0.9, arm=_lap(0.27)),
    Motion(action="rubbing hands", freq=(1.5, 3.8), both=0.0, already=0.5, stays=0.8,
           arm=_lap(0.28, 0.10, osc=(0.0, 0.006, 0.028)), other=_lap(0.28, 0.10, osc=(0.0, -0.006, -0.02))),
    Motion(action="pointing oneself", stays=0.3,
           arm=Reach(frame="trunk", at=(0.03, 0.37, 0.135), point=(-0.75, 0.25, -0.6), curl=0.85, index=0.05)),
    Motion(action="clenching fist", freq=(0.7, 1.6), both=0.4, already=0.3, stays=0.8,
           arm=Reach(frame="rest", at=(0.0, 0.015, 0.0), point=(-0.3, 0.0, 0.9), grip=0.5, curl=0.95, curl_osc=0.12)),
    Motion(action="stretching arms", both=0.6, stays=0.5, arm=_FORWARD),
    Motion(action="stretching arms", both=0.6, stays=0.5,
           arm=Reach(frame="trunk", at=(0.52, 0.38, 0.15), point=(1.0, 0.1, 0.2), grip=0.2, curl=0.1,
                     elbow=(0.0, -1.0, -1.0))),
    Motion(action="stretching arms", both=0.8, stays=0.5, hold={"trunk_pitch": -5.0},
           arm=Reach(frame="trunk", at=(0.16, 0.95, 0.06), point=(-0.3, 1.0, 0.0), grip=0.2, elbow=(1, 0.2, -0.2))),
    Motion(action="retracting arms", both=0.6, leave=True, arm=_FORWARD),
    Motion(action="retracting arms", both=0.5, leave=True,
           arm=Reach(frame="thigh", at=(0.02, 0.07, 0.43), point=(-0.1, -0.3, 0.9), grip=0.5, curl=0.2)),
    Motion(action="retracting arms", both=0.3, leave=True,
           arm=Reach(frame="trunk", at=(0.30, 0.24, 0.38), point=(0.4, 0.1, 0.9), grip=0.2, curl=0.1)),
    Motion(action="waving", freq=(1.3, 3.0), both=0.05, stays=0.4,
           arm=Reach(frame="trunk", at=(0.27, 0.50, 0.24), point=(0.1, 0.95, 0.3), grip=0.2, curl=0.08,
                     osc=(0.065, 0.0, 0.0), circle=(0.0, 0.015, 0.0))),
    Motion(action="waving", freq=(1.3, 3.0), stays=0.4,
           arm=Reach(frame="trunk", at=(0.20, 0.28, 0.36), point=(0.0, 0.8, 0.6), grip=0.2, curl=0.1,
                     osc=(0.06, 0.0, 0.01))),
    Motion(action="spreading hands", both=0.85, stays=0.4,
           arm=Reach(frame="trunk", at=(0.34, 0.22, 0.32), point=(0.6, 0.1, 0.7), grip=0.4, curl=0.05)),
    Motion(action="hands touching fingers", freq=(0.8, 2.6), both=1.0, already=0.6, stays=0.9,
           arm=_lap(0.27, 0.11, osc=(0.006, 0.006, 0.01), curl_osc=0.25)),
    Motion(action="other finger movements", freq=(1.2, 3.5), both=0.4, already=0.5, stays=0.9,
           arm=Reach(frame="rest", at=(0.0, 0.01, 0.0), point=(-0.25, 0.05, 0.95), grip=0.4, curl=0.35, curl_osc=0.3)),
    Motion(action="other finger movements", freq=(1.2, 3.5), already=0.5, stays=0.9,
           arm=Reach(frame="rest", at=(0.0, 0.02, 0.01), point=(-0.2, 0.3, 0.9), grip=0.2, curl=0.5, index=0.2,
                     curl_osc=0.25)),
    Motion(action="illustrative gestures", freq=(0.7, 2.0), both=0.5, already=0.3, stays=0.5, arm=_TALK),
    Motion(action="illustrative gestures", freq=(0.7, 1.8), both=0.3, already=0.2, stays=0.5, osc={"head_pitch": 2.0},
           arm=Reach(frame="trunk", at=(0.24, 0.30, 0.35), point=(0.2, 0.5, 0.8), grip=0.3, curl=0.15,
                     osc=(0.06, 0.04, 0.02), circle=(0.0, 0.03, 0.03))),
    # lower limb
    Motion(action="shaking legs", hold={"foot_y": 0.02}, osc={"foot_y": 0.017}, freq=(3.0, 5.5), both=0.4, already=0.6),
    Motion(action="shaking legs", osc={"knee_out": 0.13}, freq=(1.5, 4.0), both=0.6, already=0.6),
    Motion(action="curling legs", hold={"foot_z": -0.24, "foot_y": 0.04, "knee_out": 0.1}, both=0.6, stays=0.8),
    Motion(action="spread legs", hold={"knee_out": 0.4, "foot_x": 0.08}, both=0.75, stays=0.8),
    Motion(action="spread legs", hold={"knee_out": 0.4}, both=0.75, stays=0.8),
    Motion(action="closing legs", hold={"knee_out": -0.22, "foot_x": -0.07}, both=0.75, stays=0.8),
    Motion(action="closing legs", hold={"knee_out": 0.4, "foot_x": 0.05}, both=0.75, leave=True),
    Motion(action="crossing legs", stays=0.9,
           hold={"foot_x": -0.28, "foot_y": 0.24, "foot_z": 0.08, "knee_out": -0.35}),
    Motion(action="crossing legs", hold={"foot_x": -0.24, "foot_y": 0.02, "foot_z": 0.06}, stays=0.9),
    Motion(action="crossing legs", stays=0.9,
           hold={"foot_x": -0.25, "foot_y": 0.42, "foot_z": -0.02, "knee_out": 0.8}),
    Motion(action="stretching feet", hold={"foot_z": 0.30, "foot_y": 0.015}, both=0.5, stays=0.7),
    Motion(action="stretching feet", hold={"foot_z": 0.32, "foot_y": 0.12}, both=0.4, stays=0.4),
    Motion(action="retracting feet", hold={"foot_z": -0.18, "foot_y": 0.01}, both=0.5, stays=0.8),
    Motion(action="retracting feet", hold={"foot_z": 0.20}, both=0.5, leave=True),
    Motion(action="tiptoe", hold={"foot_y": 0.05, "foot_z": 0.01}, both=0.6, stays=0.5),
    Motion(action="tiptoe", hold={"foot_y": 0.03}, osc={"foot_y": 0.022}, freq=(1.2, 3.2), both=0.5, already=0.3),
    # body and hand
    Motion(action="scratching or touching neck", freq=(2.0, 4.0), already=0.2,
           arm=Reach(frame="trunk", at=(0.055, 0.575, 0.035), point=(-0.7, 0.55, -0.4), elbow=ELBOW_OUT,
                     osc=(0.006, 0.012, 0.0), curl=0.35, curl_osc=0.1)),
    Motion(action="scratching or touching neck", freq=(2.0, 4.0), already=0.2,
           arm=Reach(frame="trunk", at=(0.04, 0.60, -0.05), point=(-0.7, 0.3, -0.65), elbow=ELBOW_OUT,
                     osc=(0.012, 0.01, 0.0), curl=0.3)),
    Motion(action="scratching or touching chest", freq=(1.5, 4.0), already=0.2,
           arm=Reach(frame="trunk", at=(-0.02, 0.38, 0.125), point=(-0.9, 0.25, -0.25), grip=0.8,
                     osc=(0.01, 0.015, 0.0), curl=0.3)),
    Motion(action="scratching or touching back", freq=(1.5, 3.5), hold={"trunk_pitch": 6.0, "trunk_yaw": -6.0},
           arm=Reach(frame="trunk", at=(0.05, 0.25, -0.13), point=(-0.8, 0.5, -0.1), elbow=(0.8, -0.2, -1.0),
                     osc=(0.0, 0.02, 0.0))),
    Motion(action="scratching or touching back", freq=(1.5, 3.5),
           arm=Reach(frame="trunk", at=(0.07, 0.46, -0.11), point=(-0.2, -0.4, -0.9), elbow=(0.7, 1.0, 0.5),
                     osc=(0.0, 0.018, 0.0))),
    Motion(action="scratching or touching shoulder", freq=(1.5, 4.0),
           arm=Reach(frame="trunk", at=(-0.155, 0.52, 0.05), point=(-0.85, 0.4, -0.3), grip=0.9,
                     osc=(0.012, 0.006, 0.0))),
    Motion(action="scratching or touching shoulder", freq=(1.5, 4.0),
           arm=Reach(frame="trunk", at=(0.15, 0.53, 0.04), point=(0.0, 0.7, -0.7), elbow=ELBOW_OUT,
                     osc=(0.012, 0.006, 0.0))),
    Motion(action="arms akimbo", both=0.6, stays=0.8,
           arm=Reach(frame="trunk", at=(0.165, 0.07, 0.02), point=(-0.4, -0.6, 0.6), grip=0.5, elbow=(1.0, 0.1, -0.4))),
    Motion(action="crossing arms", stays=0.9, already=0.3,
           arm=Reach(frame="trunk", at=(-0.15, 0.27, 0.15), point=(-0.95, 0.2, -0.25), grip=0.6, elbow=ELBOW_OUT),
           other=Reach(frame="trunk", at=(-0.12, 0.23, 0.12), point=(-0.95, 0.1, -0.25), grip=0.6, elbow=ELBOW_OUT)),
    # head and hand
    Motion(action="playing or tidying hair", freq=(0.8, 2.2), both=0.15, arm=Reach(
        frame="head", at=_HAIR.at, point=_HAIR.point, elbow=_HAIR.elbow, osc=(0.02, 0.012, 0.035))),
    Motion(action="playing or tidying hair", freq=(1.0, 2.5),
           arm=Reach(frame="head", at=(0.08, 0.05, 0.02), point=(-0.5, 0.7, -0.45), osc=(0.0, 0.03, 0.015),
                     curl_osc=0.1)),
    Motion(action="scratching or touching hindbrain", freq=(2.0, 4.0),
           arm=Reach(frame="head", at=(0.03, 0.02, -0.105), point=(-0.72, 0.1, -0.68), elbow=(1.0, 0.3, 0.3),
                     osc=(0.012, 0.018, 0.0))),
    Motion(action="scratching or touching forehead", freq=(2.0, 4.0),
           arm=Reach(frame="head", at=(0.02, 0.078, 0.095), point=(-0.45, 0.7, -0.5), osc=(0.014, 0.004, 0.0))),
    Motion(action="scratching or touching face", freq=(2.0, 4.0), arm=Reach(
        frame="head", at=_CHEEK.at, point=_CHEEK.point, osc=(0.006, 0.012, 0.0), curl=0.35)),
    Motion(action="scratching or touching face", freq=(1.0, 3.0), stays=0.6,
           arm=Reach(frame="head", at=(0.02, -0.10, 0.085), point=(-0.35, 0.75, -0.5), osc=(0.012, 0.0, 0.0),
                     curl=0.45)),
    Motion(action="rubbing eyes", freq=(2.0, 4.5), both=0.3, hold={"head_pitch": 5.0}, arm=Reach(
        frame="head", at=_EYE.at, point=_EYE.point, osc=(0.014, 0.003, 0.0), curl=0.5, index=0.3)),
    Motion(action="touching nose", freq=(2.0, 4.0), arm=_NOSE),
    Motion(action="touching nose", freq=(2.0, 4.5), arm=Reach(
        frame="head", at=_NOSE.at, point=_NOSE.point, osc=(0.010, 0.004, 0.0), curl=0.5, index=0.2)),
    Motion(action="touching ears", freq=(2.0, 4.0), hold={"head_roll": 3.0},
           arm=Reach(frame="head", at=(0.085, -0.005, 0.01), point=(-0.5, 0.75, -0.35), osc=(0.0, 0.012, 0.006),
                     curl=0.4)),
    Motion(action="covering face", both=0.7, hold={"head_pitch": 9.0}, stays=0.5,
           arm=Reach(frame="head", at=(0.03, 0.0, 0.12), point=(-0.25, 0.95, -0.15), grip=0.65, curl=0.08)),
    Motion(action="covering mouth", both=0.1, hold={"head_pitch": 4.0}, stays=0.5,
           arm=Reach(frame="head", at=(0.0, -0.062, 0.11), point=(-0.75, 0.6, -0.15), grip=0.75, curl=0.15)),
    Motion(action="pushing glasses", freq=(0.8, 1.5), stays=0.05,
           arm=Reach(frame="head", at=(0.015, 0.028, 0.105), point=(-0.35, 0.8, -0.45), curl=0.7, index=0.05,
                     osc=(0.0, 0.006, 0.004))),
    Motion(action="pushing glasses", freq=(0.8, 1.5), stays=0.05,
           arm=Reach(frame="head", at=(0.06, 0.02, 0.085), point=(-0.35, 0.8, -0.4), curl=0.4,
                     osc=(0.0, 0.006, 0.004))),
    # leg and hand
    Motion(action="patting legs", freq=(1.6, 3.5), both=0.4, already=0.3, stays=0.7, arm=Reach(
        frame="thigh", at=(0.0, 0.105, 0.27), point=THIGH.point, grip=0.5, curl=0.15, osc=(0.0, 0.032, 0.0))),
    Motion(action="touching legs", freq=(0.4, 1.0), both=0.5, already=0.15, stays=0.8, arm=Reach(
        frame="thigh", at=(0.0, 0.075, 0.31), point=THIGH.point, grip=0.5, osc=(0.0, 0.0, 0.02))),
    Motion(action="touching legs", freq=(0.4, 1.0), already=0.15, stays=0.8, arm=Reach(
        frame="other_thigh", at=(0.01, 0.075, 0.30), point=(-0.8, -0.1, 0.6), grip=0.6, osc=(0.0, 0.0, 0.02))),
    Motion(action="scratching legs", freq=(2.0, 4.2), both=0.15, already=0.25, stays=0.6, arm=Reach(
        frame="thigh", at=(0.0, 0.085, 0.30), point=THIGH.point, grip=0.9, curl=0.45,
        osc=(0.0, 0.004, 0.026), curl_osc=0.12)),
    Motion(action="scratching legs", freq=(2.0, 4.2), already=0.25, stays=0.6, arm=Reach(
        frame="other_thigh", at=(0.01, 0.085, 0.28), point=(-0.7, -0.1, 0.7), grip=0.9, curl=0.45,
        osc=(0.015, 0.0, 0.02))),
    Motion(action="scratching feet", freq=(2.0, 4.2), stays=0.6,
           hold={"trunk_pitch": 58.0, "pelvis_z": 0.03, "foot_z": -0.03},
           arm=Reach(frame="foot", at=(0.03, 0.04, 0.03), point=(-0.2, -0.9, 0.2), curl=0.4, osc=(0.0, 0.025, 0.015))),
    Motion(action="scratching feet", freq=(2.0, 4.2), stays=0.6,
           hold={"trunk_pitch": 16.0, "foot_x": -0.25, "foot_y": 0.42, "foot_z": -0.02, "knee_out": 0.8},
           arm=Reach(frame="foot", at=(0.0, 0.06, 0.03), point=(-0.6, -0.5, 0.5), curl=0.4, osc=(0.02, 0.0, 0.015))),
)
# fmt: on

# fmt: off
RESTS: tuple[Reach, ...] = (
    THIGH,
    Reach(frame="thigh", at=(0.01, 0.07, 0.40), point=(-0.1, -0.45, 0.85), grip=0.5, curl=0.35),
    Reach(frame="world", at=(0.01, 0.085, 0.25), point=(-0.6, -0.15, 0.75), grip=0.6, curl=0.45),
    Reach(frame="world", at=(0.015, -0.06, 0.34), point=(-0.35, -0.8, 0.4), grip=0.5, curl=0.4),
    Reach(frame="world", at=(0.24, -0.07, 0.05), point=(-0.05, -0.9, 0.3), grip=0.5, curl=0.35,
          elbow=(0.6, -0.3, -0.8)),
)
# fmt: on
"""Where idle hands lie: on the thighs, on the knees, folded in the lap, low between the knees, beside the seat."""
