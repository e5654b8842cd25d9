"""What the command `evaluate` reads: score files, a subset of their clips, the settings of the fusion."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pcan_pose.fusion_settings import FusionSettings
    from pcan_pose.scores import ScoreSet


def read_all(paths: Sequence[Path]) -> "list[ScoreSet]":
    """Return the score sets; the faults of all files raise at once."""
    from pcan_pose.errors import ScoreError
    from pcan_pose.scores import read_scores

    sets: list[ScoreSet] = []
    faults: list[str] = []
    for path in paths:
        try:
            sets.append(read_scores(path))
        except ScoreError as error:
            faults += error.faults
    if faults:
        raise ScoreError(*faults)
    return sets


def keep_subset(sets: "Sequence[ScoreSet]", names: Sequence[str], file: Path, missing: str) -> "list[ScoreSet]":
    """Return the sets cut to the ids of a file; ids that a set lacks are an error, or said with `intersect`."""
    import numpy as np

    from pcan_pose.clip_list import read_clip_ids
    from pcan_pose.errors import ScoreError, first_names

    ids = set(read_clip_ids(file))
    kept: list[ScoreSet] = []
    faults: list[str] = []
    for scores, name in zip(sets, names, strict=True):
        rows = [row for row, clip_id in enumerate(scores.clip_ids) if clip_id in ids]
        if len(rows) < len(ids):
            lacking = ids - set(scores.clip_ids)
            fault = f"{name}: lacks {len(lacking)} of the {len(ids)} clips of {file} ({first_names(sorted(lacking))})."
            if missing == "error" or not rows:
                faults.append(fault)
            else:
                click.echo(fault, err=True)
        kept.append(scores.select(np.asarray(rows, np.int64)))
    if faults:
        raise ScoreError(*faults)
    return kept


def fit_settings(
    files: Sequence[Path],
    sets: "Sequence[ScoreSet]",
    names: Sequence[str],
    *,
    space: Any,
    missing: Any,
    body_weight: bool,
    allow_same_clips: bool,
) -> "FusionSettings":
    """Return the fusion fitted on validation files, one for each set to be measured and in the same order.

    Raises:
        ScoreError: clips that are also measured, files of other branches, and what reading and fitting refuse.
    """
    from pcan_pose.alignment import align
    from pcan_pose.errors import ScoreError, first_names
    from pcan_pose.fusion_fit import fit_fusion

    fit_names = [str(path) for path in files]
    aligned = align(read_all(files), missing=missing, names=fit_names)
    measured = set().union(*(scores.clip_ids for scores in sets))
    both = [clip_id for clip_id in aligned.sets[0].clip_ids if clip_id in measured]
    if both and not allow_same_clips:
        raise ScoreError(
            f"{len(both)} clips are in the files to fit on and in those to measure ({first_names(both)}): numbers "
            "measured on what was fitted are too good; fit on a validation split, or say --allow-same-clips."
        )
    if aligned.report:
        click.echo(f"--fit: {aligned.report}", err=True)
    settings = fit_fusion(aligned, space=space, body_weight=body_weight, names=fit_names)
    settings.check(sets, names)
    return replace(settings, fitted={**settings.fitted, "same_clips": len(both)})
