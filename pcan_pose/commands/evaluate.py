"""The command `evaluate`: score files in, the table of metrics, fused scores, pictures and a submission out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pcan_pose.fusion_settings import FusionSettings
    from pcan_pose.scores import ScoreSet

_PLAIN_WIDTH = 120
_FILE = click.Path(path_type=Path)


def _parse_weights(context: click.Context, option: click.Parameter, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(weight) for weight in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 1,0.5.") from error


@click.command()
@click.argument("scores", metavar="SCORES...", nargs=-1, required=True, type=_FILE)
@click.option("--weights", metavar="W,W,...", callback=_parse_weights, help="One weight a file.  [default: all equal]")
@click.option(
    "--space",
    type=click.Choice(["probabilities", "logits"]),
    default="probabilities",
    show_default=True,
    help="What the fusion averages.",
)
@click.option(
    "--fit",
    metavar="FILE",
    multiple=True,
    type=_FILE,
    help="Fit weights and temperatures on this validation score file; once for each of SCORES, in their order.",
)
@click.option("--fit-body-weight", is_flag=True, help="With --fit: fit --body-weight too.")
@click.option("--allow-same-clips", is_flag=True, help="With --fit: allow clips that are measured as well.")
@click.option("--save-fusion", metavar="FILE", type=_FILE, help="With --fit: write what was fitted as JSON.")
@click.option("--fusion", metavar="FILE", type=_FILE, help="Fuse as a file of --save-fusion says.")
@click.option(
    "--missing",
    type=click.Choice(["error", "intersect"]),
    default="error",
    show_default=True,
    help="What to do with clips that a file lacks: stop, or measure those that all files have and name the others.",
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
@click.option("--subset", metavar="FILE", type=_FILE, help="Use these clips only: a text file with one clip id a line.")
@click.option("--drop-unlabelled", is_flag=True, help="Measure the labelled clips only; otherwise others are an error.")
@click.option(
    "--bootstrap",
    metavar="N",
    default=1000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Resamples of the clips for the 95 % intervals, 2 or more; 0 gives none.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the resamples.")
@click.option(
    "--compare", metavar="FILE", type=_FILE, help="Test the last row against this score file, on the same clips."
)
@click.option("--per-class", is_flag=True, help="Also print precision, recall and F1 of each class, for the last row.")
@click.option(
    "--confusion", metavar="FILE.csv", type=_FILE, help="Write the last row's confusion of both levels as a table."
)
@click.option("--json", "json_file", metavar="FILE", help="Write all numbers as JSON; - prints them instead of tables.")
@click.option("--plots", metavar="DIR", type=_FILE, help="Draw the last row's pictures there.")
@click.option("--out", metavar="FILE", type=_FILE, help="Write the last row's scores to this file.")
@click.option(
    "--predictions",
    metavar="FILE.csv",
    type=_FILE,
    help="Write what the last row recognises in each clip as a table: action, body part and their probabilities.",
)
@click.option(
    "--submission", metavar="FILE.zip", type=_FILE, help="Write the last row as MA-52's challenge on Codabench asks."
)
@click.option(
    "--clip-list",
    metavar="FILE",
    type=_FILE,
    help="With --submission: the annotation list of the clips asked for.  [default: MA-52's test split]",
)
def evaluate(
    scores: tuple[Path, ...],
    weights: list[float] | None,
    space: Any,
    fit: tuple[Path, ...],
    fit_body_weight: bool,
    allow_same_clips: bool,
    save_fusion: Path | None,
    fusion: Path | None,
    missing: Any,
    body_weight: float,
    joint: bool,
    subset: Path | None,
    drop_unlabelled: bool,
    bootstrap: int,
    seed: int,
    compare: Path | None,
    per_class: bool,
    confusion: Path | None,
    json_file: str | None,
    plots: Path | None,
    out: Path | None,
    predictions: Path | None,
    submission: Path | None,
    clip_list: Path | None,
) -> None:
    """Measure score files, each alone and all of them fused.

    The table shows top-1, top-5, macro and micro F1 of body parts and actions, and the mean of the four F1, in per
    cent, and their bootstrap intervals. Files are joined by clip id. Scores without any label are fused and written to
    --out, --predictions and --submission, and not measured.

    --body-weight fuses the two levels of the last row: several files are fused first, each level by itself, and the
    actions then weighed by the fused body parts.

    --fit chooses a weight and a temperature for each file and level, by the least negative log-likelihood on
    validation files of the same models: evaluate pose_test.parquet rgb_test.parquet --fit pose_val.parquet
    --fit rgb_val.parquet.
    """
    from rich.console import Console

    from pcan_pose.commands import evaluate_tables as tables
    from pcan_pose.commands.evaluate_files import draw, write_scored, write_tables
    from pcan_pose.commands.evaluate_inputs import keep_subset, read_all
    from pcan_pose.commands.evaluate_measures import compare_with, measure, measure_intervals
    from pcan_pose.commands.evaluate_usage import check_places, check_usage
    from pcan_pose.fusion_settings import write_settings

    check_usage(click.get_current_context(), scores)
    check_places(click.get_current_context().params)
    names = [str(path) for path in scores]
    sets = read_all(scores)
    if subset is not None:
        sets = keep_subset(sets, names, subset, missing)
    settings = _settings(click.get_current_context(), sets, names)
    body_weight = 1.0 if joint else body_weight or settings.body_weight
    rows, left_out = _rows(sets, names, settings, missing, fitted=bool(fit or fusion))
    label, last = rows[-1]
    if body_weight:
        from pcan_pose.fusion import joint_probability

        label = f"{label}, {'joint' if joint else f'body weight {body_weight:.4g}'}"
        last = joint_probability(last, body_weight)
        rows.append((label, last))

    unlabelled = not (last.labels >= 0).any()
    wanted = bool(out or predictions or submission or save_fusion)
    if unlabelled and wanted and not (json_file or plots or per_class or confusion or compare):
        for path in write_scored(last, out, predictions, submission, clip_list):
            click.echo(f"wrote {path} ({len(last):,} clips); none has a label, so nothing was measured.")
        if save_fusion is not None:
            click.echo(f"wrote {write_settings(save_fusion, settings)}; no clip to be measured has a label.")
        return
    results = measure(rows, drop_unlabelled)
    intervals = measure_intervals(rows, bootstrap, seed)
    comparison = None
    if compare is not None:
        comparison = compare_with(
            compare,
            rows[-1],
            subset=subset,
            missing=missing,
            drop_unlabelled=drop_unlabelled,
            resamples=bootstrap,
            seed=seed,
        )
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PLAIN_WIDTH)
    report = tables.to_json(
        rows, results, last.taxonomy, intervals=intervals, settings=settings, left_out=left_out, comparison=comparison
    )
    if json_file == "-":
        click.echo(report)
    else:
        row_names = [name for name, _ in rows]
        tables.print_table(console, row_names, results, last.taxonomy)
        if intervals:
            tables.print_intervals(console, row_names, intervals, bootstrap)
        if settings.fitted:
            tables.print_fusion(console, settings, names)
        if comparison is not None:
            tables.print_comparison(console, [label, str(compare)], *comparison)
        if per_class:
            tables.print_classes(console, label, results[-1], last.taxonomy)
    # Pictures come last: where one cannot be drawn, the numbers are there.
    written = write_tables(json_file, report, confusion, results[-1], last.taxonomy)
    written += write_scored(last, out, predictions, submission, clip_list)
    if save_fusion is not None:
        written.append(write_settings(save_fusion, settings))
    for path in written:
        click.echo(f"wrote {path}", err=json_file == "-")
    if plots is not None:
        for path in draw(plots, results[-1], last.taxonomy, label):
            click.echo(f"wrote {path}", err=json_file == "-")


def _settings(context: click.Context, sets: "Sequence[ScoreSet]", names: Sequence[str]) -> "FusionSettings":
    """Return how to fuse, from --fit, --fusion, or the weights."""
    from pcan_pose.commands.evaluate_inputs import fit_settings
    from pcan_pose.fusion import equal_settings
    from pcan_pose.fusion_settings import read_settings

    given = context.params
    if given["fit"]:
        return fit_settings(
            given["fit"],
            sets,
            names,
            space=given["space"],
            missing=given["missing"],
            body_weight=given["fit_body_weight"],
            allow_same_clips=given["allow_same_clips"],
        )
    if given["fusion"] is None:
        return equal_settings(len(sets), given["weights"], given["space"])
    settings = read_settings(given["fusion"])
    settings.check(sets, names)
    if settings.body_weight and (given["joint"] or given["body_weight"]):
        raise click.UsageError(f"{given['fusion']} holds the body parts' weight: leave --joint and --body-weight out.")
    return settings


def _rows(
    sets: "Sequence[ScoreSet]", names: Sequence[str], settings: "FusionSettings", missing: Any, *, fitted: bool
) -> "tuple[list[tuple[str, ScoreSet]], dict[str, list[str]]]":
    """Return each file's scores and the fused ones by name, and the clips that each file has in vain.

    All are of the same clips, in the same order, with the labels that any of the files knows.
    """
    from pcan_pose.alignment import align
    from pcan_pose.fusion import fuse_aligned

    if len(sets) == 1 and not fitted:
        return [(names[0], sets[0])], {}
    aligned = align(sets, missing=missing, names=names)
    rows = [(name, replace(of, labels=aligned.labels)) for name, of in zip(names, aligned.sets, strict=True)]
    rows.append(("fused" if len(sets) > 1 else "fitted", fuse_aligned(aligned, settings)))
    return rows, {name: list(ids) for name, ids in zip(names, aligned.left_out, strict=True) if ids}
