"""The command `data select`: some clips of a set as a set of their own."""

from collections import Counter
from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("keypoint_set", metavar="SET", type=_FILE)
@click.option("--out", required=True, metavar="SET", type=_FILE, help="Folder of the new set.")
@click.option("--only", metavar="FILE", type=_FILE, help="Keep these clips: a text file with one clip id a line.")
@click.option("--without", metavar="FILE", type=_FILE, help="Leave these clips out: a text file as for --only.")
@click.option("--split", "splits", metavar="NAME", multiple=True, help="Keep the clips of this split. May be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace an existing set.")
def select(
    keypoint_set: Path, out: Path, only: Path | None, without: Path | None, splits: tuple[str, ...], overwrite: bool
) -> None:
    """Write a set of some of SET's clips, such as all but those that 'data validate' finds faults in.

    What is asked for must hold together: a clip stays if it is named by --only, is in one of the splits of --split, and
    is not named by --without. The clips keep all their splits.
    """
    import numpy as np

    from pcan_pose.clip_list import read_clip_ids
    from pcan_pose.errors import DataError, first_names
    from pcan_pose.keypoints import check_writable, read_set, write_set

    if not (only or without or splits):
        raise click.UsageError("give --only, --without or --split.")
    check_writable(out, overwrite=overwrite)
    whole = read_set(keypoint_set, unique=False)
    kept = np.ones(len(whole), bool)
    for file, stays in ((only, True), (without, False)):
        if file is not None:
            ids = read_clip_ids(file)
            if absent := sorted({*ids} - {*whole.clip_ids}):
                raise DataError(
                    f"{keypoint_set}: has no clip of the name in {len(absent)} of the {len(ids)} lines of {file} "
                    f"({first_names(absent)})."
                )
            named = np.isin(np.array(whole.clip_ids), list(ids))
            kept &= named if stays else ~named
    if splits:
        kept &= np.isin(np.arange(len(whole)), np.concatenate([whole.in_split(name) for name in splits]))
    if not kept.any():
        raise DataError(f"{keypoint_set}: no clip stays, so nothing was written.")
    names = Counter(np.array(whole.clip_ids)[kept].tolist())
    if twice := [name for name, count in names.items() if count > 1]:
        raise DataError(
            f"{keypoint_set}: {len(twice)} clip ids come more than once ({first_names(twice)}); leave them out."
        )
    write_set(out, whole.select(np.flatnonzero(kept)), overwrite=overwrite)
    click.echo(f"{out}: {kept.sum():,} of {len(whole):,} clips")
