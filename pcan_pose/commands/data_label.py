"""The command `data label`: labels and splits for a set that has none, or others."""

from pathlib import Path

import click

from pcan_pose.commands.extract_options import LABELS_HELP

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("keypoint_set", metavar="SET", type=_FILE)
@click.option("--labels", multiple=True, required=True, metavar="LIST", help=LABELS_HELP)
@click.option("--taxonomy", metavar="NAME|FILE", help="Action tree: ma52, or a YAML file.  [default: the set's own]")
@click.option("--out", required=True, metavar="SET", type=_FILE, help="Folder of the new set.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
def label(keypoint_set: Path, labels: tuple[str, ...], taxonomy: str | None, out: Path, overwrite: bool) -> None:
    """Write SET with the labels and splits of label lists, which replace its own.

    A line belongs to the clip whose id is the file's name without extension, alone or after a slash. No video is read
    again: sets that were extracted without labels, or with other splits, become sets to train on.
    """
    from pcan_extract.relabel import relabel
    from pcan_pose.errors import DataError
    from pcan_pose.keypoints import check_writable, read_set, write_set
    from pcan_pose.taxonomy import find_taxonomy

    check_writable(out, overwrite=overwrite)
    given = None if taxonomy is None else find_taxonomy(taxonomy)
    content = read_set(keypoint_set)
    tree = given or content.header.taxonomy
    if tree is None:
        raise DataError(f"{keypoint_set}: has no action tree; give --taxonomy ma52, or the YAML file of yours.")
    labelled, notices = relabel(content, labels, tree)
    write_set(out, labelled, overwrite=overwrite)
    for notice in notices:
        click.echo(notice, err=True)
    splits = ", ".join(f"{name} {len(labelled.in_split(name)):,}" for name in labelled.split_names())
    known = int((labelled.labels >= 0).sum())
    click.echo(f"{out}: {len(labelled):,} clips, {known:,} labelled, taxonomy {tree.name}; splits: {splits}")
