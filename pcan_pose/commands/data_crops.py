"""The command `data crops`: a keypoint set and its videos in, a cache of crops out."""

import json
import sys
from pathlib import Path

import click

from pcan_pose.commands.stopping import SOME_FAILED, stoppable


@click.command()
@click.argument("keypoint_set", metavar="SET", type=click.Path(path_type=Path))
@click.option(
    "--videos",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the videos, searched through all its folders.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the crops.")
@click.option("--size", default=224, show_default=True, type=click.IntRange(min=16), help="Side in pixels.")
@click.option(
    "--frames", default="32", show_default=True, metavar="N|all", help="Most frames of a clip, at even distances."
)
@click.option(
    "--margin",
    default=0.2,
    show_default=True,
    type=click.FloatRange(min=0),
    help="How much larger the box is than its joints' extent, half of it on either side.",
)
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Only this split; may be repeated.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a CPU]")
@click.option("--json-report", is_flag=True, help="Print the final figures as JSON on standard output.")
def crops(
    keypoint_set: Path,
    videos: Path,
    out: Path,
    size: int,
    frames: str,
    margin: float,
    splits: tuple[str, ...],
    workers: int | None,
    json_report: bool,
) -> None:
    """Cut the people out of videos, for the RGB branch.

    Each clip of SET gets one square box around the joints found in all of its frames and of all its persons. The box is
    moved inside the picture as far as it fits; what is still outside is black. Crops are stored as they are, not
    compressed: 150 kB each at 224 pixels. Running the same command again goes on where it stopped. Exit code 3 says
    that some videos failed; they are named on standard error and in failures.json, all others are in the cache.
    """
    from rich.console import Console

    from pcan_extract.crop_inputs import find_videos
    from pcan_extract.crop_run import build_crops
    from pcan_extract.cropping import CropClip
    from pcan_extract.engines import available_cpus
    from pcan_pose.crop_cache import CropSettings
    from pcan_pose.data.rgb.boxes import clip_boxes
    from pcan_pose.errors import first_names
    from pcan_pose.keypoints import read_set

    if frames != "all" and (not frames.isdecimal() or int(frames) < 1):
        raise click.BadParameter(f"{frames!r} is neither a number of at least 1 nor all.", param_hint="--frames")
    settings = CropSettings(size=size, frames=None if frames == "all" else int(frames), margin=margin)
    content = read_set(keypoint_set)
    if splits:
        members = {int(i) for name in splits for i in content.in_split(name)}
        content = content.select(sorted(members))
    boxes = clip_boxes(content, margin)
    paths = find_videos(videos, content.clip_ids, content.sources)
    numbers = zip(content.frames.tolist(), content.width.tolist(), content.height.tolist(), strict=True)
    clips = [
        CropClip(name, path, (left, top, side), *sizes)
        for name, path, (left, top, side), sizes in zip(content.clip_ids, paths, boxes.tolist(), numbers, strict=True)
    ]
    with stoppable(f"finished shards are kept in {out}"):
        summary = build_crops(clips, out, settings, workers=workers or available_cpus(), console=Console(stderr=True))
    named = {clip.clip_id: str(clip.path) if clip.path else clip.clip_id for clip in clips}
    for clip_id, error in summary.failures.items():
        click.echo(f"failed: {named[clip_id]}: {error}", err=True)
    if summary.resampled:
        click.echo(
            f"{len(summary.resampled)} videos have another number of frames than their keypoints: "
            f"{first_names(summary.resampled)}.",
            err=True,
        )
    if json_report:
        figures = {name: getattr(summary, name) for name in ("clips", "added", "pictures", "seconds")}
        figures |= {"resampled": list(summary.resampled), "failures": dict(summary.failures)}
        click.echo(json.dumps(figures, ensure_ascii=False, indent=1))
    else:
        failed = f", {len(summary.failures)} failed" if summary.failures else ""
        click.echo(f"{out}: {summary.clips:,} clips ({summary.added:,} new{failed}), {size}x{size} pixels")
    if summary.failures:
        sys.exit(SOME_FAILED)
