"""Score sets of the same clips side by side: joined by clip id and never by order.

Shapes: S score sets, N clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pcan_pose.errors import ScoreError, did_you_mean, first_names
from pcan_pose.scores import ScoreSet, name_clips

Missing = Literal["error", "intersect"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """The same clips in the same order in every score set.

    Attributes:
        sets: S score sets with equal `clip_ids`, in the order of the first one given.
        labels: (N,) int64, the label any of the sets knows, -1 where none does.
        left_out: for each set, the clips it has and another one lacks.
    """

    sets: tuple[ScoreSet, ...]
    labels: npt.NDArray[np.int64]
    left_out: tuple[tuple[str, ...], ...]

    @property
    def report(self) -> str:
        """One sentence on what was left out, empty where every set had every clip."""
        counts = [str(len(ids)) for ids in self.left_out]
        ids = list(dict.fromkeys(clip_id for out in self.left_out for clip_id in out))
        if not ids:
            return ""
        return (
            f"{len(ids)} clips left out, because not every score set has them (by set: {', '.join(counts)}): "
            f"{first_names(ids)}."
        )


def align(
    score_sets: Sequence[ScoreSet], *, missing: Missing = "error", names: Sequence[str] | None = None
) -> Alignment:
    """The score sets cut and reordered to the same clips.

    Args:
        score_sets: S sets of one taxonomy.
        missing: `error` refuses clips that some set lacks, `intersect` keeps the clips that all sets have.
        names: S names for error messages, such as file names; by default "set 1", "set 2", ...

    Raises:
        ScoreError: no set, taxonomies that differ, clips missing from some set, labels that contradict each other,
            no common clip; all that can be told apart at once.
    """
    names = name_sets(score_sets, names)
    check_choice("missing", missing, get_args(Missing))
    first = score_sets[0]
    faults = [
        f"{name}: taxonomy {other.taxonomy.name!r} ({other.taxonomy.num_actions} actions, "
        f"{other.taxonomy.num_body_parts} body parts) is not the one of {names[0]}: {first.taxonomy.name!r} "
        f"({first.taxonomy.num_actions} actions, {first.taxonomy.num_body_parts} body parts)"
        f"{', as names or parents differ' if _sizes(other) == _sizes(first) else ''}."
        for name, other in zip(names[1:], score_sets[1:], strict=True)
        if other.taxonomy != first.taxonomy
    ]
    if faults:
        raise ScoreError(*faults)

    ids = [pa.array(scores.clip_ids, pa.string()) for scores in score_sets]
    positions = np.stack([_positions(ids[0], other) for other in ids])  # (S, N_first), -1 where the set lacks the clip
    common = (positions >= 0).all(axis=0)  # (N_first,)
    rows = positions[:, common]  # (S, N)
    left_out = tuple(_left_out(scores, of_set) for scores, of_set in zip(score_sets, rows, strict=True))
    if missing == "error" and any(left_out):
        faults += _missing_clips(score_sets, ids, names)
    labels, conflicts = _merge_labels(score_sets, rows, names)
    faults += conflicts
    if not common.any():
        faults.append(f"no clip is in all of {', '.join(names)}.{_hint(score_sets)}")
    if faults:
        raise ScoreError(*faults)
    sets = tuple(
        scores if np.array_equal(of_set, np.arange(len(scores))) else scores.select(of_set)
        for scores, of_set in zip(score_sets, rows, strict=True)
    )
    return Alignment(sets=sets, labels=labels, left_out=left_out)


def _sizes(scores: ScoreSet) -> tuple[int, int]:
    return scores.taxonomy.num_actions, scores.taxonomy.num_body_parts


def _hint(score_sets: Sequence[ScoreSet]) -> str:
    """Return what to do where clips of all sets have the same name and lie in different folders, else nothing."""
    last = [{clip_id.rpartition("/")[2]: clip_id for clip_id in scores.clip_ids} for scores in score_sets]
    shared = set.intersection(*(set(names) for names in last))
    if not shared:
        return ""
    examples = ", ".join(dict.fromkeys(names[min(shared)] for names in last))
    return (
        f" {len(shared)} have the same last part ({examples}): give 'data import-scores' the folder as --prefix, such "
        "as --prefix val/."
    )


def name_sets(score_sets: Sequence[ScoreSet], names: Sequence[str] | None) -> Sequence[str]:
    """Return the names of the sets for error messages, by default "set 1", "set 2", ...

    Raises:
        ScoreError: no set, or not one name each.
    """
    if not score_sets:
        raise ScoreError("no score set to fuse: give one or more.")
    if names is None:
        return [f"set {i}" for i in range(1, len(score_sets) + 1)]
    if len(names) != len(score_sets):
        raise ScoreError(f"{len(names)} names for {len(score_sets)} score sets.")
    return names


def check_choice(option: str, choice: str, choices: tuple[str, ...]) -> None:
    """Raise a ScoreError that names the alternatives if the choice is none of them."""
    if choice not in choices:
        raise ScoreError(f"{option} is {choice!r}.{did_you_mean(choice, choices)}")


def _positions(wanted: pa.StringArray, ids: pa.StringArray) -> npt.NDArray[np.int64]:
    """(N,) int64, where each wanted id stands in `ids`, -1 where it does not."""
    return np.asarray(pc.index_in(wanted, value_set=ids).fill_null(-1), np.int64)


def _left_out(scores: ScoreSet, kept: npt.NDArray[np.int64]) -> tuple[str, ...]:
    left = np.ones(len(scores), bool)
    left[kept] = False
    return tuple(scores.clip_ids[row] for row in np.flatnonzero(left).tolist())


def _missing_clips(score_sets: Sequence[ScoreSet], ids: Sequence[pa.StringArray], names: Sequence[str]) -> list[str]:
    """One fault for each set that lacks clips, and the next step."""
    known = list(dict.fromkeys(clip_id for scores in score_sets for clip_id in scores.clip_ids))
    everything = pa.array(known, pa.string())
    faults = []
    for name, of_set in zip(names, ids, strict=True):
        lacking = _positions(everything, of_set) < 0
        if lacking.any():
            faults.append(f"{name}: lacks {name_clips(lacking, known)}.")
    return [
        *faults,
        "Give files of the same clips, or keep the common ones with missing=intersect (--missing intersect).",
    ]


def _merge_labels(
    score_sets: Sequence[ScoreSet], rows: npt.NDArray[np.int64], names: Sequence[str]
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """(N,) int64 known labels of the aligned rows (S, N), and a fault for each set that contradicts an earlier one."""
    merged = np.full(rows.shape[1], -1, np.int64)
    faults = []
    for scores, of_set, name in zip(score_sets, rows, names, strict=True):
        labels = scores.labels[of_set]
        conflict = np.flatnonzero((labels >= 0) & (merged >= 0) & (labels != merged))
        if len(conflict):
            examples = [f"{scores.clip_ids[of_set[i]]}: {labels[i]}, before {merged[i]}" for i in conflict]
            faults.append(
                f"{name}: {len(conflict)} labels contradict those of the sets before it ({first_names(examples)})."
            )
        merged = np.where(merged < 0, labels, merged)
    return merged, faults
