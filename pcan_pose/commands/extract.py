"""The command `extract`: videos in, a keypoint set out."""

import json
import signal
import sys
from pathlib import Path
from types import FrameType

import click

_SOME_FAILED = 3
_INTERRUPTED = 130
_TERMINATED = 143


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the keypoint set.")
@click.option("--layout", default="openpose28", show_default=True, help="Skeleton layout of the set.")
@click.option("--backend", default="mediapipe", show_default=True, help="Pose estimator.")
@click.option(
    "--labels",
    multiple=True,
    metavar="LIST",
    help="Label list: lines of a file name and an action. The split is in its name (train_list.txt), or say "
    "train=LIST. May be repeated.",
)
@click.option(
    "--taxonomy", metavar="NAME|FILE", help="Action tree of the labels: ma52 (default with --labels) or a YAML file."
)
@click.option("--overlay", metavar="DIR", type=click.Path(path_type=Path), help="Draw each clip's skeleton to an MP4.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a CPU]")
@click.option(
    "--clips-per-shard",
    default=256,
    show_default=True,
    type=click.IntRange(min=1),
    help="Clips in a file; fewer for long videos.",
)
@click.option("--json-report", is_flag=True, help="Print the final figures as JSON on standard output.")
def extract(
    paths: tuple[Path, ...],
    out: Path,
    layout: str,
    backend: str,
    labels: tuple[str, ...],
    taxonomy: str | None,
    overlay: Path | None,
    workers: int | None,
    clips_per_shard: int,
    json_report: bool,
) -> None:
    """Extract keypoints from videos.

    PATH is a video or a folder that is searched for videos. Running the same command again goes on where it stopped:
    finished clips are kept, failed ones tried again, new videos added. Exit code 3 says that some videos failed; they
    are named on standard error and in failures.json, all others are in the set.
    """
    from rich.console import Console

    from pcan_extract.pipeline import extract as run
    from pcan_pose.taxonomy import MA52, Taxonomy

    tree = None
    if taxonomy is not None:
        tree = MA52 if taxonomy == MA52.name else Taxonomy.from_yaml(taxonomy)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        summary = run(
            paths,
            out,
            backend=backend,
            layout=layout,
            labels=labels,
            taxonomy=tree,
            overlay=overlay,
            workers=workers,
            clips_per_shard=clips_per_shard,
            console=Console(stderr=True),
        )
    except (KeyboardInterrupt, SystemExit) as stop:
        click.echo(f"stopped; finished clips are kept in {out}: run the same command again to go on.", err=True)
        sys.exit(_TERMINATED if isinstance(stop, SystemExit) else _INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)
    for failure in summary.failures:
        click.echo(f"failed: {failure.path}: {failure.error}", err=True)
    click.echo(json.dumps(summary.to_dict(), ensure_ascii=False, indent=1) if json_report else summary.to_text())
    if summary.failures:
        sys.exit(_SOME_FAILED)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)
