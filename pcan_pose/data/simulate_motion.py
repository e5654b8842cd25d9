"""What a simulated motion is made of: channels of the body, and where hands go.

All positions are (outward, up, forward) in metres for a person of size 1, so that one row serves either side of the
body; angles are degrees. A positive pitch leans forward or down; a positive roll or yaw goes to the active side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Vector = tuple[float, float, float]

ANGLES = ("trunk_pitch", "trunk_roll", "trunk_yaw", "head_pitch", "head_roll", "head_yaw")
SHIFTS = ("pelvis_x", "pelvis_y", "pelvis_z", "shrug")
LEG = ("foot_x", "foot_y", "foot_z", "knee_out")
BODY = SHIFTS + ANGLES
LATERAL = ("pelvis_x", "trunk_roll", "trunk_yaw", "head_roll", "head_yaw")
FRAMES = ("rest", "world", "trunk", "head", "thigh", "other_thigh", "foot", "other_forearm")

UP_TO_FACE: Vector = (-0.35, 0.75, -0.55)
ELBOW_DOWN: Vector = (0.5, -1.0, -0.2)
ELBOW_OUT: Vector = (1.0, -0.3, 0.1)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where one hand goes: a contact point in the frame of a body segment, and what the hand does there.

    Attributes:
        frame: One of ``FRAMES``; ``rest`` offsets the hand from where it rests.
        at: The contact point in that frame.
        point: The direction from the wrist to the fingertips in that frame; need not have length 1.
        grip: The share of the hand, seen from the wrist, that touches: 0 wrist, 0.5 palm, 1 fingertips.
        elbow: The direction in the trunk's frame to which the elbow gives way.
        curl: How far the fingers bend, 0 to 1; ``index`` is the index finger's own value, where it differs.
        osc: The amplitude of the repeated movement about the contact point.
        circle: Its amplitude a quarter of a period later.
        curl_osc: The amplitude of the fingers' repeated bending, 0 to 1.
    """

    frame: str
    at: Vector
    point: Vector = UP_TO_FACE
    grip: float = 1.0
    elbow: Vector = ELBOW_DOWN
    curl: float = 0.25
    index: float | None = None
    osc: Vector = (0.0, 0.0, 0.0)
    circle: Vector = (0.0, 0.0, 0.0)
    curl_osc: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Motion:
    """One way to carry out an action.

    Attributes:
        action: The action's name in ``MA52``.
        hold: Offsets that are taken up and held, by channel: ``BODY``, ``LEG`` for the active leg, and ``LEG`` with the
            prefix ``other_`` for the other one.
        osc: Amplitudes of the repeated movement, by channel.
        freq: The range of its frequency in Hz.
        arm: What the active hand does; None leaves it at rest.
        other: What the other hand does.
        both: The probability that the other arm or leg does the same as the active one.
        already: The probability that the clip starts with the movement under way.
        stays: The probability that the person does not return before the clip ends.
        leave: Whether the action is the way back: it starts in the pose described here and ends at rest.
    """

    action: str
    hold: Mapping[str, float] = field(default_factory=dict)
    osc: Mapping[str, float] = field(default_factory=dict)
    freq: tuple[float, float] = (1.0, 2.0)
    arm: Reach | None = None
    other: Reach | None = None
    both: float = 0.0
    already: float = 0.1
    stays: float = 0.4
    leave: bool = False
