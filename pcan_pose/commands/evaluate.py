"""The command `evaluate`: score files in, the table of metrics, fused scores and pictures out."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pcan_pose.metrics import Metrics
    from pcan_pose.scores import ScoreSet
    from pcan_pose.taxonomy import Taxonomy

_PLAIN_WIDTH = 120


def _parse_weights(context: click.Context, option: click.Parameter, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(weight) for weight in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 1,0.5.") from error


@click.command()
@click.argument("scores", metavar="SCORES...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--weights", metavar="W,W,...", callback=_parse_weights, help="One weight a file.  [default: all equal]")
@click.option(
    "--space",
    type=click.Choice(["probabilities", "logits"]),
    default="probabilities",
    show_default=True,
    help="What the fusion averages.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "intersect"]),
    default="error",
    show_default=True,
    help="What to do with clips that a file lacks: stop, or use the clips that all files have.",
)
@click.option(
    "--body-weight",
    metavar="W",
    default=0.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Add a row in which p(action) is multiplied by p(its body part) to the power W; 0 adds none.",
)
@click.option("--joint", is_flag=True, help="The same as --body-weight 1.")
@click.option(
    "--subset",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Use these clips only: a text file with one clip id a line.",
)
@click.option("--drop-unlabelled", is_flag=True, help="Measure the labelled clips only; otherwise others are an error.")
@click.option("--per-class", is_flag=True, help="Also print precision, recall and F1 of each class, for the last row.")
@click.option("--json", "json_file", metavar="FILE", help="Write all numbers as JSON; - prints them instead of tables.")
@click.option("--plots", metavar="DIR", type=click.Path(path_type=Path), help="Draw the last row's pictures there.")
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="Write the last row's scores to this file."
)
def evaluate(
    scores: tuple[Path, ...],
    weights: list[float] | None,
    space: Any,
    missing: Any,
    body_weight: float,
    joint: bool,
    subset: Path | None,
    drop_unlabelled: bool,
    per_class: bool,
    json_file: str | None,
    plots: Path | None,
    out: Path | None,
) -> None:
    """Measure score files, each alone and all of them fused.

    The table shows top-1, top-5, macro and micro F1 of body parts and actions, and the mean of the four F1, in per
    cent. Files are joined by clip id. Scores without any label are fused and written to --out, and not measured.

    --body-weight fuses the two levels of the last row: several files are fused first, each level by itself, and the
    actions then weighed by the fused body parts.
    """
    from rich.console import Console

    from pcan_pose.commands.evaluate_tables import print_classes, print_table, to_json
    from pcan_pose.fusion import fuse, joint_probability
    from pcan_pose.scores import write_scores

    _check_usage(scores, weights, out)
    if joint and body_weight:
        raise click.UsageError("--joint is --body-weight 1: give one of them.")
    names = [str(path) for path in scores]
    sets = _read_all(scores)
    if subset is not None:
        sets = _keep_subset(sets, names, subset, missing)
    rows = list(zip(names, sets, strict=True))
    if len(sets) > 1:
        rows.append(("fused", fuse(sets, weights, space=space, missing=missing, names=names)))
    if joint or body_weight:
        label, last = rows[-1]
        name = "joint" if joint else f"body weight {body_weight:g}"
        rows.append((f"{label}, {name}", joint_probability(last, 1.0 if joint else body_weight)))

    label, last = rows[-1]
    unlabelled = not (last.labels >= 0).any()
    if unlabelled and out is not None and not (json_file or plots or per_class):
        write_scores(out, last)
        click.echo(f"wrote {out} ({len(last):,} clips); none has a label, so nothing was measured.")
        return
    results = _measure(rows, drop_unlabelled)
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PLAIN_WIDTH)
    report = to_json(rows, results, last.taxonomy)
    if json_file == "-":
        click.echo(report)
    else:
        print_table(console, [name for name, _ in rows], results, last.taxonomy)
        if per_class:
            print_classes(console, label, results[-1], last.taxonomy)
    written = _write_files(json_file, report, plots, results[-1], last.taxonomy, label)
    if out is not None:
        written.append(write_scores(out, last))
    for path in written:
        click.echo(f"wrote {path}", err=json_file == "-")


def _check_usage(scores: Sequence[Path], weights: list[float] | None, out: Path | None) -> None:
    resolved = [path.resolve() for path in scores]
    twice = sorted({str(path) for path, full in zip(scores, resolved, strict=True) if resolved.count(full) > 1})
    if twice:
        raise click.UsageError(f"given twice: {', '.join(twice)}.")
    if weights is not None and len(weights) != len(scores):
        raise click.UsageError(f"{len(weights)} weights for {len(scores)} score files: give one each, as in 1,0.5.")
    if out is not None and out.resolve() in resolved:
        raise click.UsageError(f"--out {out} is one of the score files read; name another file.")


def _read_all(paths: Sequence[Path]) -> "list[ScoreSet]":
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


def _keep_subset(sets: "Sequence[ScoreSet]", names: Sequence[str], file: Path, missing: str) -> "list[ScoreSet]":
    """Return the sets cut to the ids of a file; ids that a set lacks are an error, or said with `intersect`."""
    import numpy as np

    from pcan_pose.errors import DataError, ScoreError
    from pcan_pose.scores import first_names

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a text file ({error}).") from error
    ids = dict.fromkeys(line.strip() for line in lines if line.strip())
    if not ids:
        raise DataError(f"{file}: holds no clip id; write one a line.")
    kept: list[ScoreSet] = []
    faults: list[str] = []
    for scores, name in zip(sets, names, strict=True):
        rows = [row for row, clip_id in enumerate(scores.clip_ids) if clip_id in ids]
        if len(rows) < len(ids):
            lacking = list(ids.keys() - set(scores.clip_ids))
            fault = f"{name}: lacks {len(lacking)} of the {len(ids)} clips of {file} ({first_names(sorted(lacking))})."
            if missing == "error" or not rows:
                faults.append(fault)
            else:
                click.echo(fault, err=True)
        kept.append(scores.select(np.asarray(rows, np.int64)))
    if faults:
        raise ScoreError(*faults)
    return kept


def _measure(rows: "Sequence[tuple[str, ScoreSet]]", drop_unlabelled: bool) -> "list[Metrics]":
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


def _write_files(
    json_file: str | None, report: str, plots: Path | None, result: "Metrics", taxonomy: "Taxonomy", title: str
) -> list[Path]:
    from pcan_pose.atomic import atomic_write
    from pcan_pose.errors import DataError

    written: list[Path] = []
    place = json_file
    try:
        if json_file is not None and json_file != "-":
            with atomic_write(json_file) as temporary:
                temporary.write_text(report + "\n", encoding="utf-8")
            written.append(Path(json_file))
        if plots is not None:
            from pcan_pose.report import plot_evaluation

            place = str(plots)
            written += plot_evaluation(plots, result, taxonomy, title)
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror or error}).") from error
    return written
