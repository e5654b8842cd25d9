"""The numbers that the command `evaluate` computes of its rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcan_pose.metrics import Metrics
    from pcan_pose.scores import ScoreSet
    from pcan_pose.significance import Comparison


def measure(rows: "Sequence[tuple[str, ScoreSet]]", drop_unlabelled: bool) -> "list[Metrics]":
    """Return the metrics of each row; the faults of all rows raise at once, each with the row's name."""
    from pcan_pose import metrics
    from pcan_pose.errors import ScoreError

    results: list[Metrics] = []
    faults: list[str] = []
    for name, row in rows:
        try:
            results.append(
                metrics.evaluate(
                    row.action_logits,
                    row.body_logits,
                    row.labels,
                    row.taxonomy,
                    drop_unlabelled=drop_unlabelled,
                    clip_ids=row.clip_ids,
                )
            )
        except ScoreError as error:
            faults += [f"{name}: {fault}" for fault in error.faults]
    if faults:
        raise ScoreError(*faults)
    return results


def measure_intervals(
    rows: "Sequence[tuple[str, ScoreSet]]", resamples: int, seed: int
) -> list[dict[str, tuple[float, float]]]:
    """Return the bootstrap intervals of each row, none of them without resamples."""
    if not resamples:
        return []
    from pcan_pose.significance import Outcomes, bootstrap_intervals

    return [bootstrap_intervals(Outcomes.of(row), resamples=resamples, seed=seed) for _, row in rows]


def compare_with(
    file: Path,
    row: "tuple[str, ScoreSet]",
    *,
    subset: Path | None,
    missing: Any,
    drop_unlabelled: bool,
    resamples: int,
    seed: int,
) -> "tuple[list[Metrics], Comparison]":
    """Return the metrics of the row and of a score file on the same clips, and the paired test of the two.

    The file is cut to the subset, as the row was.

    Raises:
        ScoreError: what reading, aligning and measuring refuse.
    """
    import click

    from pcan_pose.alignment import align
    from pcan_pose.commands.evaluate_inputs import keep_subset
    from pcan_pose.scores import read_scores
    from pcan_pose.significance import Outcomes, compare

    name, own = row
    names = [name, str(file)]
    others = [read_scores(file)]
    if subset is not None:
        others = keep_subset(others, names[1:], subset, missing)
    aligned = align([own, *others], missing=missing, names=names)
    if aligned.report:
        click.echo(f"--compare: {aligned.report}", err=True)
    pair = [replace(scores, labels=aligned.labels) for scores in aligned.sets]
    results = measure(list(zip(names, pair, strict=True)), drop_unlabelled)
    first, other = (Outcomes.of(scores) for scores in pair)
    return results, compare(first, other, resamples=resamples, seed=seed)
