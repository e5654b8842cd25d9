"""The clips of a keypoint set on disk, without their keypoints: ids, splits, labels and where they are in the set.

Shapes: N clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pcan_pose.clips import Header
from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet, read_set, shard_paths

ShardState = tuple[str, int, int]
"""Name, bytes and time of change of a shard."""


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """Clips whose keypoints stay on disk; it selects as a `KeypointSet` does.

    Args:
        path: The keypoint set.
        clips: The clips, each with 0 persons.
        places: int64 (N,), where each is among all clips of the set.
        shards: The files that were indexed.
    """

    path: Path
    clips: KeypointSet
    places: npt.NDArray[np.int64]
    shards: tuple[ShardState, ...]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def header(self) -> Header:
        """What all clips of the set share."""
        return self.clips.header

    @property
    def clip_ids(self) -> list[str]:
        """N names."""
        return self.clips.clip_ids

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels, int64 (N,), -1 where unknown."""
        return self.clips.labels

    def split_names(self) -> list[str]:
        """Return the names of all splits, sorted."""
        return self.clips.split_names()

    def in_split(self, name: str) -> npt.NDArray[np.int64]:
        """Return the positions of the clips of a split, int64.

        Raises:
            DataError: If no clip is in that split.
        """
        return self.clips.in_split(name)

    def select(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> "ClipIndex":
        """Return the clips at these positions, in this order."""
        return replace(self, clips=self.clips.select(indices), places=self.places[indices])

    def check_unchanged(self) -> None:
        """Check that the set's files are those that were indexed, or the places are others' by now.

        Raises:
            DataError: If they are not.
        """
        if shard_states(self.path) != self.shards:
            raise DataError(
                f"{self.path}: the set was changed while it was read; run again when whatever writes it has finished."
            )


Clips = KeypointSet | ClipIndex
"""Clips of a set, with their keypoints in memory or not."""


def read_index(path: Path) -> ClipIndex:
    """Return all clips of a set.

    Raises:
        DataError: If the set cannot be read.
    """
    shards = shard_states(path)
    clips = read_set(path, arrays=False)
    return ClipIndex(path, clips, np.arange(len(clips)), shards)


def shard_states(path: Path) -> tuple[ShardState, ...]:
    """Return what tells whether the files of a set have changed.

    Raises:
        DataError: If there is no set at the path.
    """
    return tuple((shard.name, (stat := shard.stat()).st_size, stat.st_mtime_ns) for shard in shard_paths(path))
