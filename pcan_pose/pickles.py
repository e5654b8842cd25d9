"""Import and export of the keypoint pickles that pyskl and mmaction2 exchange.

Shapes: M persons, T frames, V joints, C coordinates (2 in pixels or 3 in metres).
"""

import logging
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pcan_pose.annotations import KNOWN_KEYS, annotation_id, to_annotation, to_clip
from pcan_pose.atomic import atomic_write, check_file_writable
from pcan_pose.errors import DataError, SkeletonError, TaxonomyError, first_faults, first_names
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.skeleton import SKELETONS, Skeleton, skeleton
from pcan_pose.taxonomy import MA52, Taxonomy
from pcan_pose.unpickling import load_plain_pickle

_log = logging.getLogger(__name__)

_TREE_KEYS = ("label_names", "coarse_names", "fine_to_coarse")
# Depth sensors' own layouts. Other joints in 3-D are often in another order than as many in pictures.
_SOLID_LAYOUTS = ("kinect20", "kinect25")
_SOLID_ONLY = ("kinect25",)  # OpenPose has as many in pictures, in another order


@dataclass(frozen=True)
class _Content:
    """A pickle, taken apart.

    Args:
        where: What to name in an error.
        annotations: One dict a clip.
        splits: Clip ids of each split.
        facts: What else the pickle says: label names, joint names, meta.
    """

    where: str
    annotations: list[Mapping[str, Any]]
    splits: Mapping[str, Sequence[str]]
    facts: Mapping[str, Any]


def read_pickle(
    path: str | Path,
    *,
    layout: str | None = None,
    taxonomy: Taxonomy | None = None,
    estimator: str | None = None,
    subject_from_name: bool = False,
) -> KeypointSet:
    """Return the keypoint set of a pyskl or mmaction2 pickle, read without running anything in it.

    Both forms are read: a dict with ``split`` and ``annotations``, and a plain list of annotations. Where a pickle has
    no scores, a joint has score 1, and 0 if all its coordinates are exactly 0, which is how estimators write a joint
    that they did not find. Scores outside [0, 1], as heatmaps give them, are set to the nearer end, with a warning.

    Args:
        path: The pickle.
        layout: Name of the skeleton layout; None takes the pickle's own word, or goes by the number of joints, which in
            3-D tells Kinect's layout only.
        taxonomy: Action tree of the labels; None takes the pickle's own, if it has one.
        estimator: What made the keypoints; None takes the pickle's own word.
        subject_from_name: Whether a clip's subject is the part of its name before the first underscore. Names of
            MA-52's form (``0003_01_0001``) are read so in any case when the taxonomy is MA-52's.

    Raises:
        DataError: One line for each fault of the pickle; code in a pickle is a fault and is not run.
        SkeletonError: If the layout is unknown.
        TaxonomyError: If the pickle's own action tree is not one.
    """
    content = _take_apart(load_plain_pickle(path), Path(path))
    meta = content.facts.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    bones = _find_layout(content, layout or meta.get("layout"))
    tree = taxonomy or _own_taxonomy(content, meta, Path(path))
    clips = _to_clips(content, bones, tree, subject_from_name)
    header = Header(
        layout=bones.name,
        dims=clips[0].keypoints.shape[-1],
        estimator=estimator or str(meta.get("estimator") or meta.get("sensor") or "unknown"),
        taxonomy=tree,
        extra={
            str(key): str(value)
            for key, value in meta.items()
            if isinstance(value, str | int | float) and key not in ("layout", "estimator", "taxonomy")
        },
    )
    if tree is None and any(clip.label is not None for clip in clips):
        _log.warning("%s: labels without an action tree; a model needs one: give it with --taxonomy.", path)
    return KeypointSet.from_clips(header, clips)


def write_pickle(path: str | Path, keypoint_set: KeypointSet, *, overwrite: bool = False) -> None:
    """Write a set as a pickle that pyskl and mmaction2 read; the file appears whole or not at all.

    Unknown labels are written as -1. Old numpy (before 1.26) reads the file if it was written with numpy 1.

    Args:
        path: The file.
        keypoint_set: What to write.
        overwrite: Whether an existing file may be replaced.

    Raises:
        DataError: If the file exists and must not be replaced, or cannot be written there.
    """
    path = Path(path)
    check_file_writable(path)
    if path.exists() and not overwrite:
        raise DataError(f"{path}: already exists; name another file, or allow it to be replaced with --overwrite.")
    header = keypoint_set.header
    content: dict[str, Any] = {
        "split": {
            name: [keypoint_set.clip_ids[i] for i in keypoint_set.in_split(name)] for name in keypoint_set.split_names()
        },
        "annotations": [to_annotation(clip) for clip in keypoint_set.clips()],
        "joint_names": list(header.skeleton.joints),
        "bones": [tuple(bone) for bone in header.skeleton.bones],
        "meta": {**header.extra, "layout": header.layout, "estimator": header.estimator},
    }
    if header.taxonomy is not None:
        content |= {
            "label_names": list(header.taxonomy.actions),
            "coarse_names": list(header.taxonomy.body_parts),
            "fine_to_coarse": list(header.taxonomy.parents),
        }
        content["meta"]["taxonomy"] = header.taxonomy.name
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        pickle.dump(content, stream, protocol=4)


def _take_apart(content: Any, path: Path) -> _Content:
    """Return the parts of a pickle, after checking that they are what they should be."""
    facts = content if isinstance(content, dict) else {"annotations": content}
    annotations, splits = facts.get("annotations"), facts.get("split", {})
    if not isinstance(annotations, list) or not annotations or not all(isinstance(one, dict) for one in annotations):
        got = f"dict with {', '.join(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path}: expected a list of annotations, or a dict with 'split' and 'annotations', got a {got}; "
            "is it a keypoint pickle of pyskl or mmaction2?"
        )
    lists = splits.values() if isinstance(splits, dict) else [None]
    if not all(isinstance(clips, list | tuple | set | frozenset | np.ndarray) for clips in lists):
        raise DataError(f"{path}: 'split' must map each split's name to a list of its clips.")
    named = {str(name): [str(clip) for clip in clips] for name, clips in splits.items()}
    return _Content(str(path), annotations, named, facts)


def _find_layout(content: _Content, name: str | None) -> Skeleton:
    """Return the layout by its name or by the number of joints, after comparing it with the pickle's joint names."""
    where = content.where
    arrays = (one.get("keypoint") for one in content.annotations)
    sizes = Counter(array.shape[-2:] for array in arrays if isinstance(array, np.ndarray) and array.ndim > 1)
    if not sizes:
        raise DataError(f"{where}: no annotation has 'keypoint', an array (persons, frames, joints, coordinates).")
    joints, dims = sizes.most_common(1)[0][0]
    if name is None:
        fitting = [layout for layout in SKELETONS.values() if layout.num_joints == joints]
        if not fitting:
            known = ", ".join(f"{layout.name} ({layout.num_joints})" for layout in SKELETONS.values())
            raise SkeletonError(f"{where}: no layout has {joints} joints; known are {known}.")
        found = fitting[0]
        if found.name in _SOLID_ONLY if dims == 2 else found.name not in _SOLID_LAYOUTS:
            raise SkeletonError(
                f"{where}: {joints} joints in {dims}-D, whose number does not tell their order (Human3.6M's 17 are in "
                "another one than COCO's, OpenPose's 25 in another one than Kinect's); name the layout with --layout, "
                f"such as --layout {found.name}."
            )
    else:
        found = skeleton(str(name))
    if found.num_joints != joints:
        raise SkeletonError(f"{where}: keypoints of {joints} joints, layout {found.name!r} has {found.num_joints}.")
    if contradictions := _contradictions(found, content.facts):
        hint = "name the right layout with --layout, or bring the joints into its order."
        raise SkeletonError(*(f"{where}: {fault}; {hint}" for fault in contradictions))
    return found


def _contradictions(layout: Skeleton, facts: Mapping[str, Any]) -> list[str]:
    """Return where a pickle's joint names or bones say that its joints are not the layout's.

    Another word for a joint is no contradiction, nor is another choice of bones; another order of joints is.
    """
    names = facts.get("joint_names")
    if isinstance(names, list | tuple) and names:
        if len(names) != layout.num_joints:
            return [f"{len(names)} joint names, layout {layout.name!r} has {layout.num_joints} joints"]
        places = {_words(joint): i for i, joint in enumerate(layout.joints)}
        return [
            f"joint {i} is {str(name)!r}, in layout {layout.name!r} it is {layout.joints[i]!r}"
            for i, name in enumerate(names)
            if places.get(_words(str(name)), i) != i or _side(str(name)) != _side(layout.joints[i])
        ]
    bones = facts.get("bones")
    if isinstance(bones, list | tuple) and bones:
        theirs = {frozenset(bone) for bone in bones if isinstance(bone, list | tuple)}
        shared = sum(frozenset(bone) in theirs for bone in layout.bones)
        if 2 * shared < len(layout.bones):
            return [f"its bones share {shared} of {len(layout.bones)} with layout {layout.name!r}"]
    return []


def _words(joint: str) -> tuple[str, ...]:
    return tuple(sorted(joint.lower().replace("center", "centre").replace("-", "_").replace(" ", "_").split("_")))


def _side(joint: str) -> str | None:
    return next((side for side in ("left", "right") if side in joint.lower()), None)


def _own_taxonomy(content: _Content, meta: Mapping[str, Any], path: Path) -> Taxonomy | None:
    given = {key: content.facts.get(key) for key in _TREE_KEYS}
    absent = [key for key, part in given.items() if part is None]
    if {"coarse_names", "fine_to_coarse"} <= {*absent}:
        return None  # names of the labels alone are no tree
    if absent:
        raise TaxonomyError(
            f"{path}: an action tree needs {', '.join(_TREE_KEYS)}; there is no {', '.join(absent)}: add it, or give "
            "the tree with --taxonomy."
        )
    # What the files of one data set share is their name up to the first underscore.
    name = str(meta.get("taxonomy") or path.stem.partition("_")[0])
    parts = dict(zip(("actions", "body_parts", "parents"), given.values(), strict=True))
    try:
        return Taxonomy.from_dict(parts | {"name": name})
    except TaxonomyError as error:
        where = f"{path}: {', '.join(_TREE_KEYS)}"
        raise TaxonomyError(*(f"{where}: {fault}" for fault in error.faults)) from error


def _to_clips(content: _Content, layout: Skeleton, tree: Taxonomy | None, subject_from_name: bool) -> list[Clip]:
    """Return the clips with their splits, after collecting the faults of all of them."""
    where, file = content.where, Path(content.where).name
    clips: list[Clip] = []
    faults: list[str] = []
    for position, annotation in enumerate(content.annotations):
        try:
            clips.append(to_clip(annotation, layout, tree, subject_from_name=subject_from_name, source=file))
        except DataError as error:
            name = annotation_id(annotation) or position
            faults += [f"{where}: clip {name!r}: {fault}" for fault in error.faults]
    counts = Counter(clip.clip_id for clip in clips)
    faults += [f"{where}: clip {name!r} comes {n} times; names must be unique." for name, n in counts.items() if n > 1]
    dims = Counter(clip.keypoints.shape[-1] for clip in clips)
    if len(dims) > 1:
        faults.append(f"{where}: {dims[2]} clips are in 2-D and {dims[3]} in 3-D; keep them in separate files.")
    if faults:
        raise DataError(*first_faults(faults))
    outside = [i for i, clip in enumerate(clips) if ((clip.scores < 0) | (clip.scores > 1)).any()]
    if outside:
        names = first_names([clips[i].clip_id for i in outside])
        _log.warning("%s: scores outside [0, 1] in %s; set to the nearer end.", where, names)
    for i in outside:
        clips[i] = replace(clips[i], scores=clips[i].scores.clip(0, 1))
    if dropped := sorted({str(key) for annotation in content.annotations for key in annotation} - KNOWN_KEYS):
        _log.info("%s: not kept from the annotations: %s.", where, ", ".join(dropped))
    return _with_splits(content, clips, tree)


def _with_splits(content: _Content, clips: list[Clip], tree: Taxonomy | None) -> list[Clip]:
    """Return the clips with the names of their splits."""
    where = content.where
    position = {clip.clip_id: i for i, clip in enumerate(clips)}
    splits: list[list[str]] = [[] for _ in clips]
    for name, ids in sorted(content.splits.items()):
        if absent := [clip for clip in ids if clip not in position]:
            _log.warning("%s: split %r names clips without annotation: %s; left out.", where, name, first_names(absent))
        members = sorted({position[clip] for clip in ids if clip in position})
        for i in members:
            splits[i].append(name)
        # MA-52 publishes its test clips with label 0 throughout, in the place of the true ones.
        if tree == MA52 and "test" in name and members and all(clips[i].label == 0 for i in members):
            _log.warning("%s: split %r has label 0 only, MA-52's placeholder; taken as unknown.", where, name)
            for i in members:
                clips[i] = replace(clips[i], label=None)
    return [replace(clip, splits=tuple(names)) for clip, names in zip(clips, splits, strict=True)]
