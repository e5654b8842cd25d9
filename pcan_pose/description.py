"""The facts of a keypoint set: how much there is of what."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from pcan_pose.keypoints import KeypointSet

_WORST = 5


def describe(keypoint_set: KeypointSet) -> dict[str, Any]:
    """Return the facts of a set as plain containers: sizes, splits, frames, found joints and labels.

    A joint counts as found in a frame if its score is above 0, over the persons and frames of all clips. Rates are None
    where there is nothing to count.

    Args:
        keypoint_set: The set.
    """
    header, frames = keypoint_set.header, keypoint_set.frames
    tree = header.taxonomy
    joints = header.skeleton.joints
    found = (keypoint_set.scores > 0).mean(0) if len(keypoint_set.scores) else None  # (V,)
    worst = [] if found is None else np.argsort(found, kind="stable")[:_WORST].tolist()
    return {
        "clips": len(keypoint_set),
        "layout": header.layout,
        "joints": len(joints),
        "dims": header.dims,
        "estimator": header.estimator,
        "taxonomy": tree and {"name": tree.name, "actions": tree.num_actions, "body_parts": tree.num_body_parts},
        "extra": dict(header.extra),
        "subjects": _subjects(keypoint_set, range(len(keypoint_set))),
        "splits": {
            name: {
                "clips": len(members),
                "subjects": _subjects(keypoint_set, members.tolist()),
                "labelled": int((keypoint_set.labels[members] >= 0).sum()),
            }
            for name in keypoint_set.split_names()
            for members in [keypoint_set.in_split(name)]
        },
        "frames": {
            "min": int(frames.min()) if len(frames) else 0,
            "median": float(np.median(frames)) if len(frames) else 0.0,
            "max": int(frames.max(initial=0)),
            "total": int(frames.sum()),
        },
        "fps": _counts([f"{fps:g}" if np.isfinite(fps) else "unknown" for fps in keypoint_set.fps.tolist()]),
        "persons": _counts([str(persons) for persons in keypoint_set.persons.tolist()]),
        "detection": {
            "overall": None if found is None else float(found.mean()),
            "worst": {} if found is None else {joints[i]: float(found[i]) for i in worst},
        },
        "unlabelled": int((keypoint_set.labels < 0).sum()),
        "labels": _labels(keypoint_set),
    }


def _subjects(keypoint_set: KeypointSet, members: Iterable[int]) -> int:
    return len({keypoint_set.subjects[i] for i in members} - {None})


def _counts(values: list[str]) -> dict[str, int]:
    """Return how often each value comes, the most frequent first."""
    return dict(Counter(values).most_common())


def _labels(keypoint_set: KeypointSet) -> list[dict[str, Any]]:
    """Return the number of clips of each action: of all that the tree has, or of those that come."""
    tree = keypoint_set.header.taxonomy
    known = keypoint_set.labels[keypoint_set.labels >= 0]
    counts = np.bincount(known, minlength=tree.num_actions if tree else 0).tolist()
    return [
        {"action": action, "name": tree.actions[action] if tree and action < tree.num_actions else "", "clips": clips}
        for action, clips in enumerate(counts)
        if tree or clips
    ]
