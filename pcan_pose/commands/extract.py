"""The command `extract`: videos in, a keypoint set out."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcan_pose.commands.extract_options import extract_options
from pcan_pose.commands.stopping import SOME_FAILED, stoppable

if TYPE_CHECKING:
    from pcan_extract.backends import BackendOptions
    from pcan_extract.report import Summary

_BACKEND_OPTIONS = (
    "model",
    "checkpoint",
    "detector",
    "device",
    "precision",
    "batch_size",
    "persons",
)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the keypoint set.")
@extract_options
@click.pass_context
def extract(context: click.Context, /, paths: tuple[Path, ...], out: Path | None, **given: Any) -> None:
    """Extract keypoints from videos.

    PATH is a video or a folder that is searched for videos. Running the same command again goes on where it stopped:
    finished clips are kept, failed ones tried again, new videos added. Exit code 3 says that some videos failed; they
    are named on standard error and in failures.json, all others are in the set. What became of each video is in
    report.json.
    """
    from pcan_extract.backends import BackendOptions

    options = BackendOptions(**{name: given[name] for name in _BACKEND_OPTIONS})
    if given["check"]:
        _check(given["backend"], options)
        return
    # Not needed with --check, so click itself cannot ask for them.
    for value, name in ((paths, "paths"), (out, "out")):
        if not value:
            parameter = next(found for found in context.command.params if found.name == name)
            raise click.MissingParameter(ctx=context, param=parameter)
    assert out is not None
    with stoppable(f"finished clips are kept in {out}"):
        summary = _run(paths, out, options, given)
    for failure in summary.failures:
        click.echo(f"failed: {failure.path}: {failure.error}", err=True)
    if given["json_report"]:
        click.echo(json.dumps(summary.to_dict(), ensure_ascii=False, indent=1))
    else:
        click.echo(summary.to_text())
    if summary.failures:
        sys.exit(SOME_FAILED)


def _run(paths: tuple[Path, ...], out: Path, options: "BackendOptions", given: dict[str, Any]) -> "Summary":
    from rich.console import Console

    from pcan_extract.pipeline import extract as run
    from pcan_extract.share import EVERYTHING, Share
    from pcan_extract.smoothing import Processing
    from pcan_pose.taxonomy import find_taxonomy

    return run(
        paths,
        out,
        backend=given["backend"],
        options=options,
        layout=given["layout"],
        allow_missing_joints=given["allow_missing_joints"],
        min_score=given["min_score"],
        processing=Processing(given["interpolate"], given["smooth"]),
        labels=given["labels"],
        taxonomy=None if given["taxonomy"] is None else find_taxonomy(given["taxonomy"]),
        overlay=given["overlay"],
        workers=given["workers"],
        clips_per_shard=given["clips_per_shard"],
        share=EVERYTHING if given["shard"] is None else Share.parse(given["shard"]),
        engine=given["engine"],
        address=given["address"],
        console=Console(stderr=True),
    )


def _check(backend: str, options: "BackendOptions") -> None:
    """Say what keeps a backend from running; exit code 1 if something does."""
    from pcan_extract.checks import check_backend

    faults = check_backend(backend, options)
    for fault in faults:
        click.echo(fault)
    if faults:
        sys.exit(1)
    click.echo(f"backend {backend!r}: everything that it needs is there.")
