"""The plan of an extraction: its settings and the ordered list of its clips, kept beside the shards.

The order decides which shard a clip lies in, so that a resumed run writes the bytes of an undisturbed one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from pcan_extract.inputs import VideoInput
from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError

PLAN_NAME = "extract.json"
"""Name of the plan's file in the folder of the keypoint set."""

_SCHEMA = 1


@dataclass(frozen=True)
class PlannedClip:
    """One clip of the plan.

    Args:
        video: The video as it was found.
        size: The file's size in bytes when it was planned; -1 if it could not be asked.
        shard: Number of the shard that it belongs to.
    """

    video: VideoInput
    size: int
    shard: int


@dataclass(frozen=True)
class Plan:
    """Settings and clips of an extraction.

    Args:
        settings: Everything that changes the bytes of the shards, but the clips.
        clips: The clips, in order; shard after shard.
        shards: The clips of each shard, by its number.
    """

    settings: Mapping[str, str]
    clips: tuple[PlannedClip, ...] = ()
    shards: Mapping[int, tuple[PlannedClip, ...]] = field(init=False, repr=False, compare=False)
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shards = {number: tuple(clips) for number, clips in groupby(self.clips, lambda clip: clip.shard)}
        object.__setattr__(self, "shards", shards)
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
                "shard": clip.shard,
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
                # The first plans named no shard: each held the same number of clips.
                int(clip["shard"] if "shard" in clip else i // int(content["settings"]["clips_per_shard"])),
            )
            for i, clip in enumerate(content["clips"])
        )
        return Plan({str(key): str(value) for key, value in content["settings"].items()}, clips)
    except OSError as error:
        raise DataError(f"{path}: the plan cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not an extraction's plan ({error!r}); extract into a new folder.") from error
