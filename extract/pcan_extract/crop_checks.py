"""What can be wrong with a folder of crops, told before anything is decoded."""

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from rich.console import Console

from pcan_extract.cropping import CropClip, fit_box
from pcan_extract.progress import say
from pcan_pose.crop_cache import CropSettings, CropShard
from pcan_pose.errors import ConfigError, DataError, ExtractionError, first_names

FAILURES_NAME = "failures.json"
"""Name of the file that names the videos that failed, in the folder of the crops."""

STAGING_NAME = ".staging"
"""Name of the folder of a run's lock and unfinished pictures, there while it is under way or after it was killed."""

_SHARD = re.compile(r"part-\d{5,}\.(npy|parquet)")
# Pixels that a box may move by before its crops count as others; rounding moves it by far less.
_BOX_SLACK = 0.5


def check_crop_folder(out: Path) -> None:
    """Return nothing; check that crops can be begun or gone on with in a folder.

    Raises:
        DataError: If it is a file or holds something else, such as a keypoint set.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; name a folder for the crops.")
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.exists() else set()
    # A keypoint set has tables of the same name, but none with pictures. Pictures without a table are left by a run
    # that was killed, which leaves its staging folder, too.
    shards = {name for name in names if _SHARD.fullmatch(name) and Path(name).with_suffix(".npy").name in names}
    if not (out / STAGING_NAME).is_dir():
        shards = {name for name in shards if Path(name).with_suffix(".parquet").name in names}
    foreign = sorted(names - shards - {FAILURES_NAME})
    if foreign:
        raise DataError(f"{out}: holds more than crops ({first_names(foreign)}); name another folder.")


def check_stored(shards: Sequence[CropShard], clips: Iterable[CropClip], out: Path, settings: CropSettings) -> None:
    """Return nothing; check that what is stored is what would be made now.

    Raises:
        ConfigError: If it was made with other settings.
        DataError: If the videos or boxes of clips were others.
    """
    differing = [
        f"{out}: {field.name} is {getattr(settings, field.name)}, but the crops there have "
        f"{getattr(shards[0].settings, field.name)}; use the same, or name another folder."
        for field in fields(settings)
        if shards and getattr(shards[0].settings, field.name) != getattr(settings, field.name)
    ]
    if differing:
        raise ConfigError(*differing)
    given = {clip.clip_id: clip for clip in clips}
    videos, boxes = [], []
    for shard in shards:
        for row in shard.table.select(["clip_id", "box", "width", "height", "file_size"]).to_pylist():
            clip = given.get(row["clip_id"])
            # Crops outlive their videos: without the video nothing has changed.
            if clip is None or clip.path is None or not clip.path.exists():
                continue
            if clip.path.stat().st_size != row["file_size"]:
                videos.append(clip.clip_id)
            elif not _has_box(clip, row["box"], row["width"], row["height"]):
                boxes.append(clip.clip_id)
    faults = [
        f"{out}: the {what} of {len(names)} clips have changed since their crops were made: "
        f"{first_names(names)}; name another folder."
        for names, what in ((videos, "videos"), (boxes, "keypoints"))
        if names
    ]
    if faults:
        raise DataError(*faults)


def check_room(clips: Sequence[CropClip], out: Path, settings: CropSettings, console: Console | None) -> None:
    """Return nothing; say how much disk the clips need.

    Raises:
        ExtractionError: If there is less.
    """
    if not clips:
        return
    need = sum(settings.stored(clip.frames) for clip in clips) * settings.frame_bytes
    free = shutil.disk_usage(out).free
    say(console, f"{len(clips)} clips to crop: {_size(need)}, {_size(free)} are free.")
    if need > free:
        raise ExtractionError(
            f"{out}: {len(clips)} clips need {_size(need)}, {_size(free)} are free; make room, or take fewer "
            "--frames or a smaller --size."
        )


def _size(count: int) -> str:
    unit, name = next((pair for pair in ((1e9, "GB"), (1e6, "MB")) if count >= pair[0]), (1e3, "kB"))
    return f"{count / unit:.1f} {name}"


def _has_box(clip: CropClip, box: Sequence[float], width: int, height: int) -> bool:
    try:
        return np.allclose(fit_box(clip, width, height), box, rtol=0, atol=_BOX_SLACK)
    except ExtractionError:
        return False
