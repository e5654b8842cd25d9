"""The clips of a keypoint set on disk, without their keypoints: ids, splits, labels and where they are in the set.

Shapes: N clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pcan_pose.clips import Header
from pcan_pose.keypoints import KeypointSet, read_set


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """Clips whose keypoints stay on disk; it selects as a `KeypointSet` does.

    Args:
        path: The keypoint set.
        clips: The clips, each with 0 persons.
        places: int64 (N,), where each is among all clips of the set.
    """

    path: Path
    clips: KeypointSet
    places: npt.NDArray[np.int64]

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
        return ClipIndex(self.path, self.clips.select(indices), self.places[indices])


Clips = KeypointSet | ClipIndex
"""Clips of a set, with their keypoints in memory or not."""


def read_index(path: Path) -> ClipIndex:
    """Return all clips of a set.

    Raises:
        DataError: If the set cannot be read.
    """
    clips = read_set(path, arrays=False)
    return ClipIndex(path, clips, np.arange(len(clips)))
