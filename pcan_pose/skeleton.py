"""Skeleton layouts: joints, bones, flip pairs, the joints that give centre and scale, and the graph between them.

Shapes: V joints, C coordinates (2 or 3).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import SkeletonError, did_you_mean


@dataclass(frozen=True)
class Skeleton:
    """One layout of joints.

    Args:
        name: The layout's name.
        joints: Names of the V joints.
        bones: (child, parent) pairs; V - 1 of them, a tree.
        flip_pairs: (left, right) pairs that swap when the picture is mirrored.
        centre: Joints whose mean is the origin of a normalised clip.
        scale: Pairs of joint groups; the distance between the groups' means is the body's size. The first pair of
            which all joints are there is taken.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    centre: tuple[int, ...]
    scale: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    @property
    def num_joints(self) -> int:
        """Number of joints, V."""
        return len(self.joints)

    @cached_property
    def parents(self) -> npt.NDArray[np.int64]:
        """Parent of each joint, int64 (V,); the root is its own parent."""
        parents = np.arange(self.num_joints)
        for child, parent in self.bones:
            parents[child] = parent
        return parents

    @cached_property
    def flip_permutation(self) -> npt.NDArray[np.int64]:
        """Joint that each joint becomes in a mirrored picture, int64 (V,)."""
        permutation = np.arange(self.num_joints)
        for left, right in self.flip_pairs:
            permutation[left], permutation[right] = right, left
        return permutation

    def index(self, joint: str) -> int:
        """Return the position of a joint by name.

        Raises:
            SkeletonError: If the layout has no such joint.
        """
        if joint not in self.joints:
            raise SkeletonError(f"layout {self.name!r} has no joint {joint!r}.{did_you_mean(joint, self.joints)}")
        return self.joints.index(joint)


def adjacency(skeleton: Skeleton, *, self_loops: bool = True, normalise: bool = False) -> npt.NDArray[np.float32]:
    """Return the undirected adjacency of the bones, float32 (V, V).

    Args:
        skeleton: The layout.
        self_loops: Whether the diagonal is one.
        normalise: Whether to divide by the square roots of the degrees, D^-1/2 A D^-1/2.
    """
    matrix = np.eye(skeleton.num_joints) if self_loops else np.zeros((skeleton.num_joints,) * 2)
    child, parent = np.array(skeleton.bones).T
    matrix[child, parent] = matrix[parent, child] = 1
    if normalise:
        root = 1 / np.sqrt(matrix.sum(0).clip(min=1))
        matrix = root[:, None] * matrix * root
    return matrix.astype(np.float32)


def spatial_partition(skeleton: Skeleton) -> npt.NDArray[np.float32]:
    """Return ST-GCN's three subsets, float32 (3, V, V): the joint itself, towards the root, away from it.

    The two directed subsets are normalised by their columns' degrees.

    Source:
        Yan et al., AAAI 2018 (spatial configuration partitioning), in the directed form that later work uses.
    """
    size = skeleton.num_joints
    child, parent = np.array(skeleton.bones).T
    inward = np.zeros((size, size))
    inward[child, parent] = 1
    directed = np.stack([inward, inward.T])
    directed = directed / directed.sum(1, keepdims=True).clip(min=1)
    return np.concatenate([np.eye(size)[None], directed]).astype(np.float32)


def _named(joints: tuple[str, ...], pairs: list[tuple[str, str]]) -> tuple[tuple[int, int], ...]:
    return tuple((joints.index(a), joints.index(b)) for a, b in pairs)


def _sides(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (i, joints.index("right_" + joint[5:]))
        for i, joint in enumerate(joints)
        if joint.startswith("left_") and "right_" + joint[5:] in joints
    )


def _layout(
    name: str,
    joints: tuple[str, ...],
    bones: list[tuple[str, str]],
    centre: tuple[str, ...],
    scale: list[tuple[tuple[str, ...], tuple[str, ...]]],
) -> Skeleton:
    def group(names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(joints.index(joint) for joint in names)

    return Skeleton(
        name=name,
        joints=joints,
        bones=_named(joints, bones),
        flip_pairs=_sides(joints),
        centre=group(centre),
        scale=tuple((group(a), group(b)) for a, b in scale),
    )


_SHOULDERS = ("left_shoulder", "right_shoulder")
_HIPS = ("left_hip", "right_hip")
_TORSO_THEN_SHOULDERS = [(_SHOULDERS, _HIPS), (("left_shoulder",), ("right_shoulder",))]
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_FACE = ("left_eye", "right_eye", "left_ear", "right_ear")
_LIMBS = [
    (f"{side}_{child}", f"{side}_{parent}")
    for side in ("left", "right")
    for child, parent in (("wrist", "elbow"), ("elbow", "shoulder"), ("ankle", "knee"), ("knee", "hip"), ("ear", "eye"))
]
_COCO_BODY = (
    "nose",
    *_FACE,
    *(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")),
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


def _hand(side: str) -> tuple[str, ...]:
    """Return the names of a hand's 20 joints beside its root: four a finger, from the palm to the tip."""
    return tuple(f"{side}_{finger}_{part}" for finger in _FINGERS for part in ("1", "2", "3", "tip"))


def _hand_bones(side: str, root: str) -> list[tuple[str, str]]:
    joints = _hand(side)
    return [(joint, root if i % 4 == 0 else joints[i - 1]) for i, joint in enumerate(joints)]


def _openpose28() -> Skeleton:
    arms_and_legs = tuple(
        f"{side}_{joint}"
        for joints in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
        for side in ("right", "left")
        for joint in joints
    )
    tips = tuple(f"{side}_{finger}_tip" for side in ("left", "right") for finger in _FINGERS)
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
    return _layout("openpose28", joints, bones, ("neck",), _TORSO_THEN_SHOULDERS)


def _coco_wholebody133() -> Skeleton:
    feet = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("big_toe", "small_toe", "heel"))
    face = tuple(f"face_{i}" for i in range(68))
    hands = tuple(joint for side in ("left", "right") for joint in (f"{side}_hand_root", *_hand(side)))
    joints = (*_COCO_BODY, *feet, *face, *hands)
    bones = [
        *_COCO_BONES,
        *((joint, joint.split("_")[0] + "_ankle") for joint in feet),
        *((joint, "nose") for joint in face),
        *((f"{side}_hand_root", f"{side}_wrist") for side in ("left", "right")),
        *(bone for side in ("left", "right") for bone in _hand_bones(side, f"{side}_hand_root")),
    ]
    base = _layout("coco_wholebody133", joints, bones, _SHOULDERS, _TORSO_THEN_SHOULDERS)
    # The 68 face points mirror by position: jaw, brows, nose line, nostrils, eyes, outer and inner lips.
    mirror = [
        *((i, 16 - i) for i in range(8)),
        *((17 + i, 26 - i) for i in range(5)),
        *((31 + i, 35 - i) for i in range(2)),
        *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
        *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)),
    ]
    first = joints.index("face_0")
    face_pairs = tuple((first + a, first + b) for a, b in mirror)
    return Skeleton(base.name, base.joints, base.bones, base.flip_pairs + face_pairs, base.centre, base.scale)


def _mediapipe_holistic() -> Skeleton:
    eyes = tuple(f"{side}_{eye}" for side in ("left", "right") for eye in ("eye_inner", "eye", "eye_outer"))
    limbs = tuple(
        f"{side}_{joint}"
        for joint in ("shoulder", "elbow", "wrist", "body_pinky", "body_index", "body_thumb", "hip", "knee", "ankle", "heel", "toe")
        for side in ("left", "right")
    )
    hands = tuple(joint for side in ("left", "right") for joint in (f"{side}_hand_root", *_hand(side)))
    joints = ("nose", *eyes, "left_ear", "right_ear", "mouth_left", "mouth_right", *limbs, *hands)
    bones = [
        *_COCO_BONES,
        *((f"{side}_eye_{part}", f"{side}_eye") for side in ("left", "right") for part in ("inner", "outer")),
        ("mouth_left", "nose"),
        ("mouth_right", "nose"),
        *((f"{side}_body_{finger}", f"{side}_wrist") for side in ("left", "right") for finger in ("pinky", "index", "thumb")),
        *((f"{side}_{joint}", f"{side}_ankle") for side in ("left", "right") for joint in ("heel", "toe")),
        *((f"{side}_hand_root", f"{side}_wrist") for side in ("left", "right")),
        *(bone for side in ("left", "right") for bone in _hand_bones(side, f"{side}_hand_root")),
    ]
    base = _layout("mediapipe_holistic", joints, bones, _SHOULDERS, _TORSO_THEN_SHOULDERS)
    mouth = ((joints.index("mouth_left"), joints.index("mouth_right")),)
    return Skeleton(base.name, base.joints, base.bones, base.flip_pairs + mouth, base.centre, base.scale)


def _kinect20() -> Skeleton:
    arms = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist", "hand"))
    legs = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle", "foot"))
    joints = ("hip_centre", "spine", "shoulder_centre", "head", *arms, *legs)
    bones = [
        ("hip_centre", "spine"),
        ("spine", "shoulder_centre"),
        ("head", "shoulder_centre"),
        *((shoulder, "shoulder_centre") for shoulder in _SHOULDERS),
        *((hip, "hip_centre") for hip in _HIPS),
        *(bone for bone in _LIMBS if "ear" not in bone[0]),
        *((f"{side}_hand", f"{side}_wrist") for side in ("left", "right")),
        *((f"{side}_foot", f"{side}_ankle") for side in ("left", "right")),
    ]
    return _layout("kinect20", joints, bones, ("spine",), [(("shoulder_centre",), ("hip_centre",))])


SKELETONS: dict[str, Skeleton] = {
    layout.name: layout
    for layout in (
        _openpose28(),
        _layout("coco17", _COCO_BODY, _COCO_BONES, _SHOULDERS, _TORSO_THEN_SHOULDERS),
        _coco_wholebody133(),
        _mediapipe_holistic(),
        _kinect20(),
    )
}
"""The layouts that are built in, by name."""

# Joints that a layout may lack but whose position follows from others.
_DERIVED: dict[str, tuple[str, ...]] = {"neck": _SHOULDERS, "shoulder_centre": _SHOULDERS, "hip_centre": _HIPS}


def skeleton(name: str) -> Skeleton:
    """Return a built-in layout by name.

    Raises:
        SkeletonError: If there is no such layout.
    """
    if name not in SKELETONS:
        raise SkeletonError(f"unknown layout {name!r}.{did_you_mean(name, SKELETONS)}")
    return SKELETONS[name]


def map_layout(
    keypoints: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    source: str | Skeleton,
    target: str | Skeleton,
    *,
    allow_missing: bool = False,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return keypoints and scores in another layout, joints matched by name.

    A joint that the source lacks but that follows from others (the neck from the shoulders) is their mean, with the
    lowest of their scores. Nothing else is guessed.

    Args:
        keypoints: float32 (..., V, C).
        scores: float32 (..., V) in [0, 1].
        source: Layout of the input.
        target: Layout of the output.
        allow_missing: Whether joints that cannot be derived are set to 0 with score 0 instead of being an error.

    Raises:
        SkeletonError: If the input is not of the source layout, or a joint of the target cannot be derived.
    """
    source = skeleton(source) if isinstance(source, str) else source
    target = skeleton(target) if isinstance(target, str) else target
    if keypoints.shape[-2] != source.num_joints or scores.shape != keypoints.shape[:-1]:
        raise SkeletonError(
            f"keypoints {keypoints.shape} and scores {scores.shape} are not of layout {source.name!r}: "
            f"expected (..., {source.num_joints}, C) and (..., {source.num_joints})."
        )
    if source == target:
        return keypoints, scores
    known = {joint: i for i, joint in enumerate(source.joints)}
    origins: list[tuple[int, ...]] = []
    for joint in target.joints:
        names = (joint,) if joint in known else _DERIVED.get(joint, ())
        origins.append(tuple(known[name] for name in names) if all(name in known for name in names) else ())
    missing = [joint for joint, origin in zip(target.joints, origins, strict=True) if not origin]
    if missing and not allow_missing:
        raise SkeletonError(
            f"layout {source.name!r} cannot give {', '.join(missing)} of layout {target.name!r}; "
            "choose another layout, or allow missing joints (they get score 0)."
        )
    # Every joint comes from at most two: a joint with one origin names it twice.
    first = np.array([origin[0] if origin else 0 for origin in origins])
    last = np.array([origin[-1] if origin else 0 for origin in origins])
    found = np.array([bool(origin) for origin in origins])
    mapped = (keypoints[..., first, :] + keypoints[..., last, :]) * np.float32(0.5)
    mapped_scores = np.minimum(scores[..., first], scores[..., last])
    # A direct joint keeps its exact value: halving a sum is exact unless it overflows.
    mapped_scores = np.where(found, mapped_scores, np.float32(0))
    mapped = np.where(found[:, None], mapped, np.float32(0))
    return mapped, mapped_scores
