"""The group `data`: import, import-scores, export, info, validate, label, split, select, simulate and crops."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from pcan_pose.commands.data_crops import crops
from pcan_pose.commands.data_label import label
from pcan_pose.commands.data_select import select
from pcan_pose.commands.import_scores import import_scores
from pcan_pose.commands.output_files import refuse_clashes
from pcan_pose.commands.simulate import simulate

_PLAIN_WIDTH = 120
_PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
_SET = click.argument("keypoint_set", metavar="SET", type=click.Path(path_type=Path))


@click.group()
def data() -> None:
    """Bring in, look at, check, label and split keypoint sets."""


@data.command("import")
@click.argument("pickle_file", metavar="PICKLE", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the keypoint set.")
@click.option(
    "--layout", help="Skeleton layout, such as openpose28.  [default: the pickle's, or by number of joints in 2-D]"
)
@click.option("--taxonomy", help="Action tree: ma52, or a YAML file.  [default: the pickle's own]")
@click.option("--estimator", help="What made the keypoints.  [default: the pickle's word]")
@click.option("--subject-from-name", is_flag=True, help="Subject = the clip's name before the first underscore.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
def import_pickle(
    pickle_file: Path,
    out: Path,
    layout: str | None,
    taxonomy: str | None,
    estimator: str | None,
    subject_from_name: bool,
    overwrite: bool,
) -> None:
    """Make a keypoint set of a pyskl or mmaction2 PICKLE.

    The pickle is read without running anything that it may hold. Splits, labels, subjects and the action tree come
    along where the pickle has them.
    """
    from pcan_pose.keypoints import check_writable, write_set
    from pcan_pose.pickles import read_pickle
    from pcan_pose.taxonomy import find_taxonomy

    check_writable(out, overwrite=overwrite)
    keypoint_set = read_pickle(
        pickle_file,
        layout=layout,
        taxonomy=None if taxonomy is None else find_taxonomy(taxonomy),
        estimator=estimator,
        subject_from_name=subject_from_name,
    )
    write_set(out, keypoint_set, overwrite=overwrite)
    header = keypoint_set.header
    splits = ", ".join(f"{name} {len(keypoint_set.in_split(name)):,}" for name in keypoint_set.split_names())
    tree = f"taxonomy {header.taxonomy.name}" if header.taxonomy else "no taxonomy"
    click.echo(f"{out}: {len(keypoint_set):,} clips, {header.layout} in {header.dims}-D, {tree}")
    click.echo(f"splits: {splits or 'none'}")


@data.command()
@_SET
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def export(keypoint_set: Path, out: Path, overwrite: bool) -> None:
    """Write a keypoint set as a pickle for pyskl and mmaction2."""
    from pcan_pose.atomic import check_file_writable
    from pcan_pose.keypoints import read_set, shard_paths
    from pcan_pose.pickles import write_pickle

    refuse_clashes({"--out": out}, shard_paths(keypoint_set))
    check_file_writable(out)
    content = read_set(keypoint_set)
    write_pickle(out, content, overwrite=overwrite)
    click.echo(f"{out}: {len(content):,} clips")


@data.command()
@_SET
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--plot",
    metavar="DIR|FILE",
    type=click.Path(path_type=Path),
    help="Draw how often each joint was found, how long it was missing, how much it trembles (.png, .jpg, .pdf, .svg).",
)
def info(keypoint_set: Path, as_json: bool, plot: Path | None) -> None:
    """Describe a keypoint set: clips, splits, frames, how often joints were found, labels."""
    from pcan_pose.description import describe
    from pcan_pose.keypoints import read_set

    facts = describe(read_set(keypoint_set))
    picture = None if plot is None else _plot_quality(keypoint_set, plot)
    if as_json:
        click.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        _print_info(str(keypoint_set), facts)
    if picture is not None:
        click.echo(f"picture: {picture}", err=as_json)


@data.command()
@_SET
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def validate(keypoint_set: Path, as_json: bool) -> None:
    """Check a keypoint set; the exit code is 1 if there are errors.

    Finds values that cannot be, labels outside the action tree, clips without anything in them, and bit-identical
    clips, above all those in two splits that should have nothing in common.
    """
    from dataclasses import asdict

    from pcan_pose.errors import first_names
    from pcan_pose.keypoints import read_set
    from pcan_pose.validation import validate as check

    result = check(read_set(keypoint_set, unique=False))
    if as_json:
        click.echo(json.dumps(asdict(result), indent=1, ensure_ascii=False))
    else:
        for finding in result.findings:
            shown = first_names(finding.clips)
            click.echo(f"{finding.severity}: {len(finding.clips):,} clips: {finding.message}: {shown}")
        click.echo(
            f"{keypoint_set}: {result.clips:,} clips, {len(result.errors)} errors, {len(result.warnings)} warnings"
        )
    if result.errors:
        raise SystemExit(1)


@data.command()
@_SET
@click.option(
    "--by",
    type=click.Choice(["subject", "long-tail"]),
    required=True,
    help="subject: no two splits share one; long-tail: copies of splits in which actions get rarer and rarer.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the set with the new splits.")
@click.option("--fractions", help="By subject: shares of train, val and test.  [default: 0.6,0.2,0.2]")
@click.option(
    "--split",
    "chosen",
    multiple=True,
    metavar="NAME",
    help="By subject: split to deal out, all clips if left out. By long-tail: split to copy. May be repeated.",
)
@click.option("--ratio", type=float, help="By long-tail: how many times rarer the last action is than the first.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Equal seeds, equal splits.")
@click.option("--prefix", help="What the new splits' names begin with.  [default: xsub_ or long_tail_]")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
def split(
    keypoint_set: Path,
    by: str,
    out: Path,
    fractions: str | None,
    chosen: tuple[str, ...],
    ratio: float | None,
    seed: int,
    prefix: str | None,
    overwrite: bool,
) -> None:
    """Add splits to a set, which keeps its own.

    By subject: every subject is in one split only; with two fractions the splits are train and test, with three train,
    val and test. With --split only those splits' clips are dealt out, such as the ones whose subjects are known.
    By long-tail: of each --split a copy in which the actions, ranked at random, have fewer and fewer clips, down to
    1 / --ratio of the most frequent one's.
    """
    from pcan_pose.keypoints import check_writable, read_set, write_set
    from pcan_pose.splits import long_tail, split_by_subject

    thinned = _check_split_usage(by, fractions, chosen, ratio)
    check_writable(out, overwrite=overwrite)
    if by == "subject":
        prefix = "xsub_" if prefix is None else prefix
        shares = _parse_fractions(fractions or "0.6,0.2,0.2")
        new = split_by_subject(read_set(keypoint_set), shares, among=chosen, seed=seed, prefix=prefix)
        names = [prefix + name for name in shares]
    else:
        prefix = "long_tail_" if prefix is None else prefix
        new = read_set(keypoint_set)
        for name in chosen:
            new = long_tail(new, name, thinned, seed=seed, prefix=prefix)
        names = [prefix + name for name in chosen]
    write_set(out, new, overwrite=overwrite)
    for name in names:
        members = new.in_split(name)
        if by == "subject":
            click.echo(f"{name}: {len(members):,} clips of {len({new.subjects[i] for i in members})} subjects")
        else:
            counts = Counter(new.labels[members].tolist()).values()
            click.echo(f"{name}: {len(members):,} clips, {max(counts):,} to {min(counts):,} of an action")


def _check_split_usage(by: str, fractions: str | None, chosen: tuple[str, ...], ratio: float | None) -> float:
    """Return the ratio; options that belong to the other kind of split are refused, as is a long tail without them."""
    if by == "subject" and ratio is not None:
        raise click.UsageError("--ratio belongs to --by long-tail.")
    if by == "long-tail" and fractions is not None:
        raise click.UsageError("--fractions belongs to --by subject.")
    if by == "long-tail" and (not chosen or ratio is None):
        raise click.UsageError("--by long-tail needs --split and --ratio, such as --split train --ratio 10.")
    return 1.0 if ratio is None else ratio


def _parse_fractions(text: str) -> dict[str, float]:
    names = {2: ("train", "test"), 3: ("train", "val", "test")}
    try:
        shares = [float(share) for share in text.split(",")]
        return dict(zip(names[len(shares)], shares, strict=True))
    except (ValueError, KeyError) as error:
        raise click.BadParameter(
            f"{text!r} is not two or three numbers such as 0.6,0.2,0.2.", param_hint="--fractions"
        ) from error


def _plot_quality(keypoint_set: Path, where: Path) -> Path:
    """Return the path of the picture of a set's keypoint quality; `where` is a file by its suffix, else a folder."""
    from pcan_pose.errors import DataError
    from pcan_pose.keypoints import read_set, shard_paths
    from pcan_pose.report.keypoint_quality import measure
    from pcan_pose.report.keypoint_quality_plot import plot_keypoint_quality

    path = where if where.suffix.lower() in _PICTURES else where / "keypoint_quality.png"
    try:
        quality = measure(read_set(shard) for shard in shard_paths(keypoint_set))
        return plot_keypoint_quality(path, quality, f"Keypoints of {keypoint_set.resolve().name}")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _print_info(where: str, facts: dict[str, Any]) -> None:
    import sys

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console = Console(file=sys.stdout, width=_PLAIN_WIDTH)
    size, found = facts["frames"], facts["detection"]
    tree = facts["taxonomy"]
    rows = {
        "clips": f"{facts['clips']:,}",
        "layout": f"{facts['layout']}, {facts['joints']} joints in {facts['dims']}-D",
        "estimator": facts["estimator"],
        "taxonomy": f"{tree['name']}: {tree['actions']} actions of {tree['body_parts']} body parts" if tree else "none",
        "subjects": str(facts["subjects"]),
        "frames": f"{size['min']} to {size['max']} a clip, median {size['median']:g}, {size['total']:,} in all",
        "frames a second": _counted(facts["fps"], "{} ({:,} clips)"),
        "persons": _counted(facts["persons"], "{} ({:,} clips)"),
        "joints found": f"{found['overall']:.1%}" if found["overall"] is not None else "-",
        "least found": _counted(found["worst"], "{} {:.1%}"),
        "unlabelled": f"{facts['unlabelled']:,} clips",
        **facts["extra"],
    }
    table = Table(title=escape(where), show_header=False, title_justify="left")
    for name, value in rows.items():
        table.add_row(escape(name), escape(value))
    console.print(table)
    if facts["splits"]:
        table = Table("split", "clips", "subjects", "labelled", title="Splits", title_justify="left")
        for name, row in facts["splits"].items():
            table.add_row(escape(name), *(f"{row[key]:,}" for key in ("clips", "subjects", "labelled")))
        console.print(table)
    if facts["labels"]:
        table = Table("action", "name", "clips", title="Labels", title_justify="left")
        for row in facts["labels"]:
            table.add_row(str(row["action"]), escape(row["name"]), f"{row['clips']:,}")
        console.print(table)


def _counted(counts: dict[str, float], form: str) -> str:
    from pcan_pose.errors import first_names

    return first_names([form.format(name, count) for name, count in counts.items()]) or "-"


data.add_command(simulate)
data.add_command(import_scores)
data.add_command(crops)
data.add_command(select)
data.add_command(label)
