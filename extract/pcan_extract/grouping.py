"""Which videos a worker takes at once, where its batches go on from one video to the next."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pcan_extract.inputs import VideoInput
from pcan_extract.plan import PlannedClip


@dataclass(frozen=True)
class GroupLimits:
    """When a group is full.

    Args:
        videos: Most videos in it, >= 1.
        size: Most bytes that their files have together, unless it is one video.
    """

    videos: int
    size: int = 64 * 1024**2


SINGLE = GroupLimits(1)
"""Every video is taken alone."""

GROUP = GroupLimits(64)
"""Enough for many batches even of short clips, as a group's last one is filled up; few enough to see progress."""


def group_videos(clips: Iterable[PlannedClip], limits: GroupLimits) -> Iterator[tuple[VideoInput, ...]]:
    """Return an iterator over groups of consecutive videos."""
    group: list[VideoInput] = []
    size = 0
    for clip in clips:
        more = max(clip.size, 0)
        if group and (len(group) >= limits.videos or size + more > limits.size):
            yield tuple(group)
            group, size = [], 0
        group.append(clip.video)
        size += more
    if group:
        yield tuple(group)
