"""Checks of a keypoint set: every fault of every clip, and clips that are the same.

Shapes: N clips, R rows (one person in one frame), V joints, C coordinates.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from pcan_pose.keypoints import KeypointSet

Severity = Literal["error", "warning"]

_PARTS = {"train", "val", "test"}


@dataclass(frozen=True)
class Finding:
    """One fault of a set, with all the clips that have it.

    Args:
        check: Short name of the check, for programs.
        severity: An error makes training or its measures wrong; a warning is worth a look.
        message: What it means and what to do.
        clips: The clips' names, in the set's order.
    """

    check: str
    severity: Severity
    message: str
    clips: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """Two splits that should be disjoint, and their bit-identical clips of other names.

    Args:
        splits: The two splits' names.
        groups: Groups of bit-identical clips with at least one in each split, without those that are in both.
    """

    splits: tuple[str, str]
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Validation:
    """What the checks of a set found.

    Args:
        clips: Number of clips checked.
        findings: The faults, errors first.
        twins: Groups of bit-identical clips, of two or more.
        leaks: Those of the groups that lie in two splits that should be disjoint.
    """

    clips: int
    findings: tuple[Finding, ...]
    twins: tuple[tuple[str, ...], ...]
    leaks: tuple[Leak, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are warnings."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")


def validate(keypoint_set: KeypointSet) -> Validation:
    """Return every fault of a set.

    Errors: clips without frames or persons, values that are not finite, scores outside [0, 1], labels that the action
    tree does not have, names that come twice, clips in two splits of one protocol (``train``, ``val`` and ``test``, or
    ``x_train``, ``x_val`` and ``x_test``), and bit-identical clips in two such splits or in any two that share no clip
    by name (a test clip that was trained on). Warnings: no joint found in a whole clip, found joints further outside
    the picture than its own size, clips that do not move, and bit-identical clips elsewhere.

    Args:
        keypoint_set: The set.
    """
    names = keypoint_set.clip_ids
    found = _any_row(keypoint_set, (keypoint_set.scores > 0).any(-1))
    twins = _twins(keypoint_set, found)
    members = {name: keypoint_set.in_split(name) for name in keypoint_set.split_names()}
    named = _named(keypoint_set, members)
    leaks = _leaks(keypoint_set, members, named, twins)
    findings = [
        Finding(check, severity, message, tuple(names[i] for i in np.flatnonzero(wrong)))
        for check, severity, message, wrong in _clip_checks(keypoint_set)
        if wrong.any()
    ]
    for a, b in combinations(members, 2):
        if _one_protocol(a, b) and (both := named[a] & named[b]).any():
            message = f"in both of the splits {a!r} and {b!r}, which should be disjoint; split the set anew"
            clips = dict.fromkeys(names[i] for i in members[a][both[members[a]]].tolist())
            findings.append(Finding("shared_clip", "error", message, tuple(clips)))
    for leak in leaks:
        a, b = leak.splits
        apart = "" if (named[a] & named[b]).any() else ", which share no clip by name"
        message = (
            f"{len(leak.groups)} groups of bit-identical clips lie across the splits {a!r} and {b!r}{apart}; leave "
            "them out of one split, or say so beside every measure"
        )
        findings.append(Finding("leak", "error", message, tuple(name for group in leak.groups for name in group)))
    if twins:
        message = f"{len(twins)} groups of bit-identical clips"
        findings.append(Finding("twins", "warning", message, tuple(names[i] for group in twins for i in group)))
    findings.sort(key=lambda finding: finding.severity)
    groups = tuple(tuple(names[i] for i in group) for group in twins)
    return Validation(len(names), tuple(findings), groups, tuple(leaks))


def _clip_checks(
    keypoint_set: KeypointSet,
) -> Iterable[tuple[str, Severity, str, npt.NDArray[np.bool_]]]:
    """Yield name, severity and message of each check, and which clips fail it, bool (N,)."""
    keypoints, scores = keypoint_set.keypoints, keypoint_set.scores
    empty = keypoint_set.frames * keypoint_set.persons == 0
    yield "empty", "error", "no frames or no persons; remove the clip", empty
    finite = np.isfinite(keypoints).all(-1)  # (R, V)
    message = "coordinates that are not finite; a joint that was not found has coordinates 0 and score 0"
    yield "keypoints_not_finite", "error", message, _any_row(keypoint_set, ~finite.all(-1))
    with np.errstate(invalid="ignore"):
        inside = (scores >= 0) & (scores <= 1)  # (R, V), False for NaN
        there = finite & (scores > 0)
    message = "scores that are not in [0, 1]"
    yield "scores_out_of_range", "error", message, _any_row(keypoint_set, ~inside.all(-1))
    if keypoint_set.header.taxonomy is not None:
        actions = keypoint_set.header.taxonomy.num_actions
        message = f"labels that are not in 0..{actions - 1}, the actions of the taxonomy"
        yield "label_out_of_range", "error", message, keypoint_set.labels >= actions
    _, inverse, counts = np.unique(np.array(keypoint_set.clip_ids), return_inverse=True, return_counts=True)
    yield "duplicate_id", "error", "names that come twice; fusion joins by name", counts[inverse.reshape(-1)] > 1
    message = "no joint found in any frame; look at the video"
    found = _any_row(keypoint_set, there.any(-1))
    yield "nothing_found", "warning", message, ~empty & ~found
    if keypoint_set.header.dims == 2:
        message = "found joints further outside the picture than its own size; is the size right?"
        yield "outside_picture", "warning", message, _any_row(keypoint_set, _outside(keypoint_set, there))
    message = "nothing moves: all frames are the same, or there is only one"
    yield "frozen", "warning", message, found & ~_moves(keypoint_set)


def _any_row(keypoint_set: KeypointSet, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return for which clips any of the rows is true, bool (N,) from bool (R,)."""
    before = np.concatenate([[0], np.cumsum(rows)])
    return np.diff(before[keypoint_set.offsets]) > 0


def _outside(keypoint_set: KeypointSet, there: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return in which rows a found joint is further outside the picture than the picture's own size, bool (R,)."""
    size = np.stack([keypoint_set.width, keypoint_set.height], axis=-1)  # (N, C)
    size = np.repeat(size, np.diff(keypoint_set.offsets), axis=0)[:, None]  # (R, 1, C)
    with np.errstate(invalid="ignore"):
        far = (keypoint_set.keypoints < -size) | (keypoint_set.keypoints > 2 * size)  # (R, V, C)
    return (far & there[..., None] & (size > 0).all(-1, keepdims=True)).any((1, 2))


def _moves(keypoint_set: KeypointSet) -> npt.NDArray[np.bool_]:
    """Return in which clips any person's keypoints change from one frame to the next, bool (N,)."""
    keypoints = keypoint_set.keypoints
    changed = np.zeros(len(keypoints), bool)
    changed[1:] = (keypoints[1:] != keypoints[:-1]).any((1, 2))
    lengths = np.repeat(keypoint_set.frames, keypoint_set.persons)
    first = (np.cumsum(lengths) - lengths)[lengths > 0]
    changed[first] = False  # the row before belongs to another person
    return _any_row(keypoint_set, changed)


def _twins(keypoint_set: KeypointSet, found: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Return the groups of bit-identical clips by position; clips in which nothing was found are no twins."""
    groups: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    rows = np.ascontiguousarray(keypoint_set.keypoints)
    for i in np.flatnonzero(found).tolist():
        start, end = keypoint_set.offsets[i : i + 2]
        digest = hashlib.blake2b(rows[start:end].data, digest_size=16).digest()
        groups[int(keypoint_set.frames[i]), digest].append(i)
    return [group for group in groups.values() if len(group) > 1]


def _leaks(
    keypoint_set: KeypointSet,
    members: Mapping[str, npt.NDArray[np.int64]],
    named: Mapping[str, npt.NDArray[np.bool_]],
    twins: list[list[int]],
) -> list[Leak]:
    """Return the twins that lie in two splits of one protocol, or in two that share no clip by name."""
    group_of = np.full(len(keypoint_set), -1)
    for number, group in enumerate(twins):
        group_of[group] = number
    leaks = []
    for a, b in combinations(members, 2):
        both = named[a] & named[b]
        if both.any() and not _one_protocol(a, b):
            continue
        apart = [members[name][~both[members[name]]] for name in (a, b)]
        numbers = np.intersect1d(group_of[apart[0]], group_of[apart[1]])
        either = set(np.concatenate(apart).tolist()) if (numbers >= 0).any() else set()
        groups = [
            tuple(keypoint_set.clip_ids[i] for i in twins[number] if i in either) for number in numbers[numbers >= 0]
        ]
        if groups:
            leaks.append(Leak((a, b), tuple(groups)))
    return leaks


def _one_protocol(a: str, b: str) -> bool:
    """Return whether two splits are the parts of one protocol, such as xsub_train and xsub_test, or train and val."""
    (of_a, _, part_a), (of_b, _, part_b) = (("_" + name).rpartition("_") for name in (a, b))
    return of_a == of_b and part_a != part_b and {part_a, part_b} <= _PARTS


def _named(keypoint_set: KeypointSet, members: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which clips have a name that is in a split, bool (N,), for each split."""
    code = np.unique(np.array(keypoint_set.clip_ids, dtype=object).astype(str), return_inverse=True)[1].reshape(-1)
    return {name: (np.bincount(code[rows], minlength=len(code)) > 0)[code] for name, rows in members.items()}
