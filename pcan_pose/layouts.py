"""The definitions of the built-in layouts, by joint names; `pcan_pose.skeleton` makes skeletons of them."""

from dataclasses import dataclass

Names = tuple[str, ...]
NamePairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Layout:
    """A layout in names.

    Args:
        name: The layout's name.
        joints: Names of the joints, in order.
        bones: (child, parent) pairs, a tree.
        centre: Joints whose mean is the origin of a normalised clip.
        scale: Pairs of joint groups whose distance is the body's size, best first.
        mirrored: Pairs that swap in a mirrored picture, beside those whose names begin with left_ and right_.
    """

    name: str
    joints: Names
    bones: NamePairs
    centre: Names
    scale: list[tuple[Names, Names]]
    mirrored: NamePairs


_SHOULDERS = ("left_shoulder", "right_shoulder")
_HIPS = ("left_hip", "right_hip")
_TORSO_THEN_SHOULDERS: list[tuple[Names, Names]] = [(_SHOULDERS, _HIPS), (("left_shoulder",), ("right_shoulder",))]
_SIDES = ("left", "right")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_FACE = ("left_eye", "right_eye", "left_ear", "right_ear")
_LIMBS = [
    (f"{side}_{child}", f"{side}_{parent}")
    for side in _SIDES
    for child, parent in (("wrist", "elbow"), ("elbow", "shoulder"), ("ankle", "knee"), ("knee", "hip"), ("ear", "eye"))
]
_COCO_BODY = (
    "nose",
    *_FACE,
    *(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in _SIDES),
)
_COCO_BONES = [
    *_LIMBS,
    ("left_eye", "nose"),
    ("right_eye", "nose"),
    ("nose", "left_shoulder"),
    ("right_shoulder", "left_shoulder"),
    ("left_hip", "left_shoulder"),
    ("right_hip", "right_shoulder"),
]


def _hand(side: str) -> Names:
    """Return the names of a hand's 20 joints beside its root: four a finger, from the palm to the tip."""
    return tuple(f"{side}_{finger}_{part}" for finger in _FINGERS for part in ("1", "2", "3", "tip"))


def _hand_bones(side: str, root: str) -> NamePairs:
    joints = _hand(side)
    return [(joint, root if i % 4 == 0 else joints[i - 1]) for i, joint in enumerate(joints)]


def _openpose28() -> Layout:
    arms_and_legs = tuple(
        f"{side}_{joint}"
        for joints in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
        for side in ("right", "left")
        for joint in joints
    )
    tips = tuple(f"{side}_{finger}_tip" for side in _SIDES for finger in _FINGERS)
    joints = ("nose", "neck", *arms_and_legs, "right_eye", "left_eye", "right_ear", "left_ear", *tips)
    bones = [
        *_LIMBS,
        *((hip, hip.replace("hip", "shoulder")) for hip in _HIPS),
        *((shoulder, "neck") for shoulder in _SHOULDERS),
        ("nose", "neck"),
        ("left_eye", "nose"),
        ("right_eye", "nose"),
        *((tip, tip.split("_")[0] + "_wrist") for tip in tips),
    ]
    return Layout("openpose28", joints, bones, ("neck",), _TORSO_THEN_SHOULDERS, [])


def _halpe26() -> Layout:
    feet = tuple(f"{side}_{joint}" for joint in ("big_toe", "small_toe", "heel") for side in _SIDES)
    bones = [
        *_LIMBS,
        *((eye, "nose") for eye in ("left_eye", "right_eye")),
        ("nose", "neck"),
        ("head", "neck"),
        *((shoulder, "neck") for shoulder in _SHOULDERS),
        *((hip, "hip_centre") for hip in _HIPS),
        ("hip_centre", "neck"),
        *((f"{side}_{joint}", f"{side}_ankle") for joint in ("big_toe", "small_toe", "heel") for side in _SIDES),
    ]
    joints = (*_COCO_BODY, "head", "neck", "hip_centre", *feet)
    return Layout("halpe26", joints, bones, ("neck",), _TORSO_THEN_SHOULDERS, [])


def _coco_wholebody133() -> Layout:
    feet = tuple(f"{side}_{joint}" for side in _SIDES for joint in ("big_toe", "small_toe", "heel"))
    face = tuple(f"face_{i}" for i in range(68))
    hands = tuple(joint for side in _SIDES for joint in (f"{side}_hand_root", *_hand(side)))
    joints = (*_COCO_BODY, *feet, *face, *hands)
    bones = [
        *_COCO_BONES,
        *((joint, joint.split("_")[0] + "_ankle") for joint in feet),
        *((joint, "nose") for joint in face),
        *((f"{side}_hand_root", f"{side}_wrist") for side in _SIDES),
        *(bone for side in _SIDES for bone in _hand_bones(side, f"{side}_hand_root")),
    ]
    # The 68 face points mirror by position: jaw, brows, nose line, nostrils, eyes, outer and inner lips.
    mirror = [
        *((i, 16 - i) for i in range(8)),
        *((17 + i, 26 - i) for i in range(5)),
        *((31 + i, 35 - i) for i in range(2)),
        *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
        *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)),
    ]
    face_pairs = [(f"face_{a}", f"face_{b}") for a, b in mirror]
    return Layout("coco_wholebody133", joints, bones, _SHOULDERS, _TORSO_THEN_SHOULDERS, face_pairs)


def _mediapipe_holistic() -> Layout:
    eyes = tuple(f"{side}_{eye}" for side in _SIDES for eye in ("eye_inner", "eye", "eye_outer"))
    arms = ("shoulder", "elbow", "wrist", "body_pinky", "body_index", "body_thumb")
    legs = ("hip", "knee", "ankle", "heel", "toe")
    limbs = tuple(f"{side}_{joint}" for joint in (*arms, *legs) for side in _SIDES)
    hands = tuple(joint for side in _SIDES for joint in (f"{side}_hand_root", *_hand(side)))
    joints = ("nose", *eyes, "left_ear", "right_ear", "mouth_left", "mouth_right", *limbs, *hands)
    bones = [
        *_COCO_BONES,
        *((f"{side}_eye_{part}", f"{side}_eye") for side in _SIDES for part in ("inner", "outer")),
        ("mouth_left", "nose"),
        ("mouth_right", "nose"),
        *((f"{side}_body_{finger}", f"{side}_wrist") for side in _SIDES for finger in ("pinky", "index", "thumb")),
        *((f"{side}_{joint}", f"{side}_ankle") for side in _SIDES for joint in ("heel", "toe")),
        *((f"{side}_hand_root", f"{side}_wrist") for side in _SIDES),
        *(bone for side in _SIDES for bone in _hand_bones(side, f"{side}_hand_root")),
    ]
    mouth = [("mouth_left", "mouth_right")]
    return Layout("mediapipe_holistic", joints, bones, _SHOULDERS, _TORSO_THEN_SHOULDERS, mouth)


def _kinect20() -> Layout:
    arms = tuple(f"{side}_{joint}" for side in _SIDES for joint in ("shoulder", "elbow", "wrist", "hand"))
    legs = tuple(f"{side}_{joint}" for side in _SIDES for joint in ("hip", "knee", "ankle", "foot"))
    joints = ("hip_centre", "spine", "shoulder_centre", "head", *arms, *legs)
    bones = [
        ("hip_centre", "spine"),
        ("spine", "shoulder_centre"),
        ("head", "shoulder_centre"),
        *((shoulder, "shoulder_centre") for shoulder in _SHOULDERS),
        *((hip, "hip_centre") for hip in _HIPS),
        *(bone for bone in _LIMBS if "ear" not in bone[0]),
        *((f"{side}_hand", f"{side}_wrist") for side in _SIDES),
        *((f"{side}_foot", f"{side}_ankle") for side in _SIDES),
    ]
    return Layout("kinect20", joints, bones, ("spine",), [(("shoulder_centre",), ("hip_centre",))], [])


def _kinect25() -> Layout:
    # The order of NTU RGB+D's skeleton files.
    first = _kinect20()
    arms, legs = first.joints[4:12], first.joints[12:]
    hands = tuple(f"{side}_{joint}" for side in _SIDES for joint in ("hand_tip", "thumb"))
    joints = ("hip_centre", "spine", "neck", "head", *arms, *legs, "shoulder_centre", *hands)
    bones = [
        *(bone for bone in first.bones if bone != ("head", "shoulder_centre")),
        ("head", "neck"),
        ("neck", "shoulder_centre"),
        *((joint, f"{joint.split('_')[0]}_hand") for joint in hands),
    ]
    return Layout("kinect25", joints, bones, first.centre, first.scale, [])


LAYOUTS: tuple[Layout, ...] = (
    _openpose28(),
    Layout("coco17", _COCO_BODY, _COCO_BONES, _SHOULDERS, _TORSO_THEN_SHOULDERS, []),
    _halpe26(),
    _coco_wholebody133(),
    _mediapipe_holistic(),
    _kinect20(),
    _kinect25(),
)
"""The built-in layouts."""

DERIVED: dict[str, Names] = {"neck": _SHOULDERS, "shoulder_centre": _SHOULDERS, "hip_centre": _HIPS}
"""Joints that a layout may lack but whose position follows from others, their mean."""
