"""The plan of an extraction: its settings and the ordered list of its clips, kept beside the shards.

The order decides which shard a clip lies in, so that a resumed run writes the bytes of an undisturbed one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pcan_extract.inputs import VideoInput
from pcan_pose.atomic import atomic_write
from pcan_pose.errors import ConfigError, DataError

PLAN_NAME = "extract.json"
"""Name of the plan's file in the folder of the keypoint set."""

_SCHEMA = 1
_SHOWN = 5


@dataclass(frozen=True)
class PlannedClip:
    """One clip of the plan.

    Args:
        video: The video as it was found.
        size: The file's size in bytes when it was planned; -1 if it could not be asked.
    """

    video: VideoInput
    size: int


@dataclass(frozen=True)
class Plan:
    """Settings and clips of an extraction.

    Args:
        settings: Everything that changes the bytes of the shards, but the clips.
        clips: The clips, in order; shard k holds those from k * clips_per_shard on.
    """

    settings: Mapping[str, str]
    clips: tuple[PlannedClip, ...] = ()
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_positions", {clip.video.clip_id: i for i, clip in enumerate(self.clips)})

    def position(self, clip_id: str) -> int | None:
        """Return a clip's position in the plan, or None."""
        return self._positions.get(clip_id)


def save_plan(folder: Path, plan: Plan) -> None:
    """Return nothing; write the plan into a folder, at once or not at all."""
    content = {
        "schema": _SCHEMA,
        "settings": dict(plan.settings),
        "clips": [
            {
                "clip_id": clip.video.clip_id,
                "path": str(clip.video.path),
                "source": clip.video.source,
                "splits": list(clip.video.splits),
                "label": clip.video.label,
                "subject": clip.video.subject,
                "size": clip.size,
            }
            for clip in plan.clips
        ],
    }
    write_json(folder / PLAN_NAME, content)


def write_json(path: Path, content: object) -> None:
    """Return nothing; write a JSON file, at once or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load_plan(folder: Path) -> Plan:
    """Return the plan of a folder.

    Raises:
        DataError: If the file cannot be read or is not a plan.
    """
    path = folder / PLAN_NAME
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA:
            raise DataError(
                f"{path}: plan of schema {content['schema']!r}, expected {_SCHEMA}; extract into a new folder."
            )
        clips = tuple(
            PlannedClip(
                VideoInput(
                    clip_id=str(clip["clip_id"]),
                    path=Path(clip["path"]),
                    source=str(clip["source"]),
                    splits=tuple(map(str, clip["splits"])),
                    label=clip["label"],
                    subject=clip["subject"],
                ),
                int(clip["size"]),
            )
            for clip in content["clips"]
        )
        return Plan({str(key): str(value) for key, value in content["settings"].items()}, clips)
    except OSError as error:
        raise DataError(f"{path}: the plan cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not an extraction's plan ({error!r}); extract into a new folder.") from error


def extend_plan(plan: Plan, settings: Mapping[str, str], videos: Sequence[VideoInput]) -> tuple[Plan, frozenset[str]]:
    """Return the plan with new videos appended, and the ids of clips whose file has changed since it was planned.

    Clips that are in the plan but not among the videos stay in it.

    Args:
        plan: The plan so far; without clips for a new run.
        settings: The settings of this run.
        videos: The videos that were found.

    Raises:
        ConfigError: If the settings, or a clip's label, split or subject differ from the plan's.
        DataError: If a clip id stands for another file than in the plan, and both exist.
    """
    faults = [
        f"{key} is {settings.get(key, 'not set')!r}, but this extraction was begun with "
        f"{plan.settings.get(key, 'not set')!r}; use the same, or extract into a new folder."
        for key in dict.fromkeys([*plan.settings, *settings])
        if settings.get(key) != plan.settings.get(key)
    ]
    if faults:
        raise ConfigError(*faults)
    clips = list(plan.clips)
    changed: set[str] = set()
    relabelled: list[str] = []
    for video in videos:
        position = plan.position(video.clip_id)
        if position is None:
            clips.append(PlannedClip(video, _size(video.path)))
            continue
        known = clips[position]
        if video.path != known.video.path and known.video.path.exists():
            faults.append(
                f"clip id {video.clip_id!r} stands for {known.video.path} in this extraction, now for {video.path}; "
                "give the folder above them, or extract into a new folder."
            )
        if replace(video, path=known.video.path) != known.video:
            relabelled.append(video.clip_id)
        size = _size(video.path)
        if size != known.size:
            changed.add(video.clip_id)
        clips[position] = PlannedClip(video, size)
    if faults:
        raise DataError(*faults)
    if relabelled:
        names = ", ".join(relabelled[:_SHOWN]) + (", ..." if len(relabelled) > _SHOWN else "")
        raise ConfigError(
            f"label, split or subject of {len(relabelled)} clips ({names}) differ from those that this extraction was "
            "begun with; give the same label lists, or extract into a new folder."
        )
    return Plan(plan.settings, tuple(clips)), frozenset(changed)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
