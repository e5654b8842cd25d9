"""Layouts from MMPose's own description of a data set, by the joints' names.

Shapes: V joints.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pcan_pose.errors import ConfigError
from pcan_pose.skeleton import SKELETONS, Skeleton

# Joint names of other data sets for what our layouts call otherwise.
_SAME = {"hip": "hip_centre", "mid_hip": "hip_centre", "pelvis": "hip_centre", "root": "hip_centre"}
_FINGER = re.compile(r"(left_|right_)?(thumb|forefinger|index|middle|ring|pinky)(?:_finger)?_?([1-4])")
_PARTS = {"1": "1", "2": "2", "3": "3", "4": "tip"}
_SHOULDERS = ("left_shoulder", "right_shoulder")
_HIPS = ("left_hip", "right_hip")


def joint_name(name: str) -> str:
    """Return what our layouts call a joint of MMPose's: left_forefinger4 -> left_index_tip, face-0 -> face_0."""
    name = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")
    name = re.sub(r"^([lr])_", lambda side: "left_" if side[1] == "l" else "right_", name)
    name = re.sub(r"^(.+)_(left|right)$", r"\2_\1", name)
    if finger := _FINGER.fullmatch(name):
        side, which, number = finger.groups()
        return f"{side or ''}{'index' if which == 'forefinger' else which}_{_PARTS[number]}"
    return _SAME.get(name, name)


def find_layout(meta: Mapping[str, Any], model: str) -> str | Skeleton:
    """Return the built-in layout whose joints a data set has, in their order, or else a skeleton of its own.

    Args:
        meta: What MMPose makes of a configuration's dataset_info.
        model: The model's name, for errors and for the skeleton's name.

    Raises:
        ConfigError: If two joints have one name, or there are fewer than two.
    """
    names: Mapping[int, str] = meta["keypoint_id2name"]
    joints = tuple(joint_name(names[i]) for i in sorted(names))
    for layout in SKELETONS.values():
        if layout.joints == joints:
            return layout.name
    twice = sorted({joint for joint in joints if joints.count(joint) > 1})
    if twice or len(joints) < 2:
        fault = f"more than one joint called {', '.join(twice)}" if twice else f"{len(joints)} joint"
        raise ConfigError(f"model {model!r}: dataset_info of {meta['dataset_name']!r} has {fault}; correct it there.")
    return _skeleton(f"mmpose:{meta['dataset_name']}", joints, meta["skeleton_links"], meta["flip_indices"])


def _skeleton(name: str, joints: tuple[str, ...], links: Sequence[tuple[int, int]], flipped: Sequence[int]) -> Skeleton:
    place = {joint: i for i, joint in enumerate(joints)}
    root = next((place[joint] for joint in ("neck", "nose", "hip_centre") if joint in place), 0)
    bones = _tree(len(joints), links, root)
    pairs = [(i, j) for i, j in enumerate(flipped) if i < j and flipped[j] == i]

    def group(*wanted: str) -> tuple[int, ...]:
        return tuple(place[joint] for joint in wanted) if all(joint in place for joint in wanted) else ()

    shoulders, hips = group(*_SHOULDERS), group(*_HIPS)
    scale = [(shoulders, hips)] if shoulders and hips else []
    if shoulders:
        scale.append((shoulders[:1], shoulders[1:]))
    return Skeleton(
        name=name,
        joints=joints,
        bones=bones,
        flip_pairs=tuple((j, i) if joints[j].startswith("left_") else (i, j) for i, j in pairs),
        centre=group("neck") or shoulders or hips or (root,),
        # Without a trunk, the joint at the end of the tree is as far from the root as any.
        scale=tuple(scale) or (((root,), (bones[-1][0],)),),
    )


def _tree(size: int, links: Sequence[tuple[int, int]], root: int) -> tuple[tuple[int, int], ...]:
    """Return (child, parent) pairs that span all joints, nearest to the root first.

    Links that would close a ring are left out; what no link reaches hangs on the root.
    """
    bones: list[tuple[int, int]] = []
    reached = [root]
    todo = iter(range(size))
    at = 0
    while len(reached) < size:
        if at == len(reached):
            stray = next(joint for joint in todo if joint not in reached)
            bones.append((stray, root))
            reached.append(stray)
        joint = reached[at]
        at += 1
        for ends in links:
            for parent, child in (ends, ends[::-1]):
                if parent == joint and child not in reached:
                    bones.append((child, parent))
                    reached.append(child)
    return tuple(bones)
