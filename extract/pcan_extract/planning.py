"""How a plan grows: new videos are appended, and each clip gets its shard once and for all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pcan_extract.inputs import VideoInput
from pcan_extract.plan import Plan, PlannedClip
from pcan_extract.share import EVERYTHING, Share
from pcan_pose.errors import ConfigError, DataError, first_names

# Settings that are recorded only where they do something, and what their absence says.
_ABSENT = {"min_score": "0"}


@dataclass(frozen=True)
class ShardLimits:
    """When a shard is full.

    Args:
        clips: Most clips in it, >= 1.
        size: Most bytes that its videos' files have together, unless it is one video. Keypoints are smaller than the
            video that they come from, so this bounds the memory that a shard of long videos needs.
    """

    clips: int = 256
    size: int = 1024**3


def extend_plan(
    plan: Plan,
    settings: Mapping[str, str],
    videos: Sequence[VideoInput],
    *,
    limits: ShardLimits,
    share: Share = EVERYTHING,
) -> tuple[Plan, frozenset[str]]:
    """Return the plan with new videos appended, and the ids of clips whose file has changed since it was planned.

    Clips that are in the plan but not among the videos stay in it, and every clip stays in its shard. Of the clips in
    other jobs' shards nothing is changed: those jobs look after them.

    Args:
        plan: The plan so far; without clips for a new run.
        settings: The settings of this run.
        videos: The videos that were found.
        limits: When a shard is full.
        share: This job's share.

    Raises:
        ConfigError: If the settings, or a clip's label, split or subject differ from the plan's.
        DataError: If a clip id stands for another file than in the plan, and both exist.
    """
    _check_settings(plan.settings, settings)
    clips = list(plan.clips)
    changed: set[str] = set()
    relabelled: list[str] = []
    faults: list[str] = []
    new: list[VideoInput] = []
    for video in videos:
        position = plan.position(video.clip_id)
        if position is None:
            new.append(video)
            continue
        known = clips[position]
        if video.path != known.video.path and known.video.path.exists():
            faults.append(
                f"clip id {video.clip_id!r} stands for {known.video.path} in this extraction, now for {video.path}; "
                "give the folder above them, or extract into a new folder."
            )
        if replace(video, path=known.video.path) != known.video:
            relabelled.append(video.clip_id)
        if share.owns(known.shard):
            size = _size(video.path)
            # What cannot be reached now, such as a link to a disk that is not mounted, has not changed.
            if size >= 0 and size != known.size:
                changed.add(video.clip_id)
            clips[position] = PlannedClip(video, known.size if size < 0 else size, known.shard)
    if faults:
        raise DataError(*faults)
    if relabelled:
        raise ConfigError(
            f"label, split or subject of {len(relabelled)} clips ({first_names(relabelled)}) differ from those that "
            "this extraction was begun with; give the same label lists, or extract into a new folder."
        )
    plan = Plan(plan.settings, tuple(clips))
    return Plan(plan.settings, (*clips, *_assign(plan, new, limits))), frozenset(changed)


def _check_settings(old: Mapping[str, str], new: Mapping[str, str]) -> None:
    faults = [
        f"{key} is {_told(new, key)!r}, but this extraction was begun with {_told(old, key)!r}; "
        "use the same, or extract into a new folder."
        for key in dict.fromkeys([*old, *new])
        if new.get(key) != old.get(key)
    ]
    if faults:
        raise ConfigError(*faults)


def _told(settings: Mapping[str, str], key: str) -> str:
    return settings.get(key, _ABSENT.get(key, "not set"))


def _assign(plan: Plan, videos: Sequence[VideoInput], limits: ShardLimits) -> Iterator[PlannedClip]:
    """Return an iterator over new clips, which go on filling the plan's last shard."""
    shard = plan.clips[-1].shard if plan.clips else 0
    last = plan.shards.get(shard, ())
    clips, size = len(last), sum(max(clip.size, 0) for clip in last)
    for video in videos:
        more = _size(video.path)
        if clips and (clips >= limits.clips or size + max(more, 0) > limits.size):
            shard, clips, size = shard + 1, 0, 0
        clips, size = clips + 1, size + max(more, 0)
        yield PlannedClip(video, more, shard)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
