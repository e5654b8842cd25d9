"""One annotation of pyskl and mmaction2: a dict with a clip's keypoints, scores and label.

Shapes: M persons, T frames, V joints, C coordinates (2 in pixels or 3 in metres).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.clips import Clip
from pcan_pose.errors import DataError
from pcan_pose.skeleton import Skeleton
from pcan_pose.taxonomy import MA52, Taxonomy

_ID_KEYS = ("frame_dir", "filename", "vid")
_MA52_NAME = re.compile(r"(\d{4})_\d{2}_\d{4}")

KNOWN_KEYS = frozenset(
    {
        *_ID_KEYS,
        "keypoint",
        "keypoint_score",
        "label",
        "coarse_label",
        "total_frames",
        "img_shape",
        "original_shape",
        "subject",
        "fps",
        "source",
    }
)
"""What is read from an annotation."""


def annotation_id(annotation: Mapping[str, Any]) -> str:
    """Return an annotation's name, or nothing if it has none."""
    names = (annotation.get(key) for key in _ID_KEYS)
    return next((str(name) for name in names if isinstance(name, str | int) and name != ""), "")


def to_annotation(clip: Clip) -> dict[str, Any]:
    """Return a clip as an annotation; an unknown label is -1."""
    annotation: dict[str, Any] = {
        "frame_dir": clip.clip_id,
        "label": -1 if clip.label is None else clip.label,
        "total_frames": clip.keypoints.shape[1],
        "keypoint": np.ascontiguousarray(clip.keypoints),
        "keypoint_score": np.ascontiguousarray(clip.scores),
    }
    if clip.height and clip.width:
        annotation["img_shape"] = annotation["original_shape"] = (clip.height, clip.width)
    given = {"subject": clip.subject, "fps": clip.fps, "source": clip.source}
    return annotation | {key: value for key, value in given.items() if value is not None}


def to_clip(
    annotation: Mapping[str, Any], layout: Skeleton, tree: Taxonomy | None, *, subject_from_name: bool, source: str
) -> Clip:
    """Return the clip of one annotation, in no split yet.

    Args:
        annotation: The dict.
        layout: The skeleton that the keypoints must have.
        tree: The labels' action tree, if known.
        subject_from_name: Whether an unknown subject is the part of the name before the first underscore.
        source: The clip's source, if the annotation names none.

    Raises:
        DataError: One line for each fault.
    """
    name = annotation_id(annotation)
    faults = [] if name else [f"no name; it needs {' or '.join(map(repr, _ID_KEYS))}."]
    keypoints, scores = _arrays(annotation, layout, faults)
    label = _label(annotation, tree, faults)
    height, width = _picture(annotation, faults)
    fps = annotation.get("fps")
    if fps is not None and not (isinstance(fps, int | float | np.number) and 0 < fps < np.inf):
        faults.append(f"fps {fps!r} is not a positive number.")
    if faults:
        raise DataError(*faults)
    subject = annotation.get("subject")
    return Clip(
        clip_id=name,
        keypoints=keypoints,
        scores=scores,
        label=label,
        subject=_subject(name, tree, subject_from_name) if subject is None else str(subject),
        fps=None if fps is None else float(fps),
        width=width,
        height=height,
        source=str(annotation.get("source") or source),
    )


def _label(annotation: Mapping[str, Any], tree: Taxonomy | None, faults: list[str]) -> int | None:
    """Return the action, None if unknown, and add what is wrong with it to the faults."""
    label = annotation.get("label")
    if label is None:
        return None
    if not isinstance(label, int | np.integer):
        faults.append(f"label {label!r} is not a whole number.")
        return None
    if label < 0:
        return None
    if tree is not None and label >= tree.num_actions:
        faults.append(f"label {label} is not in 0..{tree.num_actions - 1}, the actions of taxonomy {tree.name!r}.")
    elif tree is not None:
        coarse, parent = annotation.get("coarse_label"), tree.parents[label]
        if isinstance(coarse, int | np.integer) and coarse != parent:
            faults.append(f"coarse_label {coarse}, but taxonomy {tree.name!r} has action {label} under {parent}.")
    return int(label)


def _arrays(
    annotation: Mapping[str, Any], layout: Skeleton, faults: list[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return keypoints float32 (M, T, V, C) and scores float32 (M, T, V); what is wrong with them joins the faults."""
    nothing = np.empty((0, 0, layout.num_joints, 2), np.float32), np.empty((0, 0, layout.num_joints), np.float32)
    raw = annotation.get("keypoint")
    if not isinstance(raw, np.ndarray) or raw.dtype.kind not in "fiu":
        faults.append("no 'keypoint' array of numbers.")
        return nothing
    if raw.ndim != 4 or raw.shape[2] != layout.num_joints or raw.shape[3] not in (2, 3):
        faults.append(f"keypoint {raw.shape}, expected (persons, frames, {layout.num_joints} joints, 2 or 3).")
        return nothing
    with np.errstate(over="ignore"):  # the check for finite values says it
        keypoints = raw.astype(np.float32)
    given = annotation.get("keypoint_score")
    if given is None:
        scores = (keypoints != 0).any(-1).astype(np.float32)
    elif not isinstance(given, np.ndarray) or given.dtype.kind not in "fiub" or given.shape != raw.shape[:3]:
        faults.append(f"keypoint_score {np.shape(given)} does not fit keypoint {raw.shape}, expected {raw.shape[:3]}.")
        return nothing
    else:
        scores = given.astype(np.float32)
    for key, values in (("keypoint", keypoints), ("keypoint_score", scores)):
        if strange := int((~np.isfinite(values)).sum()):
            faults.append(f"{strange} values of {key} are not finite; a joint that was not found is 0 with score 0.")
    frames = annotation.get("total_frames", raw.shape[1])
    if isinstance(frames, int | np.integer) and frames != raw.shape[1]:
        faults.append(f"total_frames {frames}, but keypoint {raw.shape} has {raw.shape[1]} frames.")
    return keypoints, scores


def _picture(annotation: Mapping[str, Any], faults: list[str]) -> tuple[int | None, int | None]:
    """Return height and width, in pixels, of the picture that the coordinates refer to."""
    shape = annotation.get("img_shape", annotation.get("original_shape"))
    if shape is None:
        return None, None
    whole = isinstance(shape, tuple | list | np.ndarray) and all(isinstance(side, int | np.integer) for side in shape)
    if not whole or len(shape) != 2 or min(shape) <= 0 or max(shape) >= 2**31:
        faults.append(f"img_shape {shape!r} is not (height, width) in pixels.")
        return None, None
    return int(shape[0]), int(shape[1])


def _subject(name: str, tree: Taxonomy | None, from_name: bool) -> str | None:
    stem = Path(name).stem
    if tree == MA52 and (match := _MA52_NAME.fullmatch(stem)):
        return match[1]
    return stem.split("_")[0] if from_name and "_" in stem else None
