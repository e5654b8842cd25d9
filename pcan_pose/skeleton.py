"""Skeleton layouts: joints, bones, flip pairs, the joints that give centre and scale, and the graph between them.

Shapes: V joints, C coordinates (2 or 3).
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import SkeletonError, did_you_mean
from pcan_pose.layouts import DERIVED, LAYOUTS, Layout

_HAND = re.compile(r"(left|right)_(hand(_root|_tip)?|(thumb|index|middle|ring|pinky)(_.+)?)")


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
    def hands(self) -> npt.NDArray[np.bool_]:
        """Which joints belong to a hand, bool (V,)."""
        return np.array([_HAND.fullmatch(joint) is not None for joint in self.joints])

    @cached_property
    def parents(self) -> npt.NDArray[np.int64]:
        """Parent of each joint, int64 (V,); the root is its own parent."""
        parents = np.arange(self.num_joints)
        for child, parent in self.bones:
            parents[child] = parent
        return parents

    @cached_property
    def chains(self) -> npt.NDArray[np.float32]:
        """Bones between the root and each joint, 0 or 1, float32 (V, V): [v, u] is the one from u to its parent."""
        steps = np.eye(self.num_joints)
        child, parent = np.array(self.bones).T
        steps[child, parent] = -1
        bones = np.linalg.inv(steps).round()  # each joint and all above it
        bones[:, self.parents == np.arange(self.num_joints)] = 0  # the root has no bone
        return bones.astype(np.float32)

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


def _compile(layout: Layout) -> Skeleton:
    """Return a layout's skeleton, its names made positions."""
    place = {joint: i for i, joint in enumerate(layout.joints)}

    def group(names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(place[joint] for joint in names)

    sides = [(joint, "right_" + joint[5:]) for joint in layout.joints if joint.startswith("left_")]
    return Skeleton(
        name=layout.name,
        joints=layout.joints,
        bones=tuple((place[child], place[parent]) for child, parent in layout.bones),
        flip_pairs=tuple((place[left], place[right]) for left, right in [*sides, *layout.mirrored]),
        centre=group(layout.centre),
        scale=tuple((group(a), group(b)) for a, b in layout.scale),
    )


SKELETONS: dict[str, Skeleton] = {layout.name: _compile(layout) for layout in LAYOUTS}
"""The layouts that are built in, by name."""


def skeleton(name: str | Skeleton) -> Skeleton:
    """Return a built-in layout by name; a skeleton is returned as it is.

    Raises:
        SkeletonError: If there is no such layout.
    """
    if isinstance(name, Skeleton):
        return name
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
    source, target = skeleton(source), skeleton(target)
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
        names = (joint,) if joint in known else DERIVED.get(joint, ())
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
    # A direct joint keeps its exact value: halving a sum is exact unless it overflows.
    mapped = (keypoints[..., first, :] + keypoints[..., last, :]) * np.float32(0.5)
    mapped_scores = np.minimum(scores[..., first], scores[..., last])
    mapped_scores = np.where(found, mapped_scores, np.float32(0))
    mapped = np.where(found[:, None], mapped, np.float32(0))
    return mapped, mapped_scores
