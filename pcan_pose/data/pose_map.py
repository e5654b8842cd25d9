"""Normalised keypoints of a whole set in plain files, mapped into memory: random access to more than fits into it.

A map is a folder of ``keypoints.npy``, float32 (R, V, C), ``scores.npy``, float32 (R, V), and ``clips.npy``, int64
(N, 2): persons and frames of each clip. The last is written last; without it the others are what an interrupted start
left, and the next one goes on from there. The folder's name follows from the set's files and from what was done to
their clips, so a map never changes, and may be deleted whenever no run reads it.

Shapes: N clips of the set, R rows (person-frames of the kept persons), V joints, C coordinates.
"""

import fcntl
import hashlib
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pcan_pose.config import DataConfig
from pcan_pose.data import normalise as normalising
from pcan_pose.data import set_reader
from pcan_pose.data.clip_index import shard_states
from pcan_pose.data.pose_map_writer import CLIPS, KEYPOINTS, SCORES, write_map
from pcan_pose.errors import DataError
from pcan_pose.keypoints import read_header


@dataclass(frozen=True)
class PoseMap:
    """A finished map.

    Args:
        folder: Where it lies.
        persons: int64 (N,), persons kept of each clip, in the set's order.
        frames: int64 (N,), frames of each clip.
    """

    folder: Path
    persons: npt.NDArray[np.int64]
    frames: npt.NDArray[np.int64]

    @property
    def keypoints(self) -> Path:
        """The file of the keypoints."""
        return self.folder / KEYPOINTS

    @property
    def scores(self) -> Path:
        """The file of the scores."""
        return self.folder / SCORES

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """First row of each clip, int64 (N,)."""
        rows = self.persons * self.frames
        return np.cumsum(rows) - rows


def open_map(path: Path, data: DataConfig) -> PoseMap:
    """Return the map of a set; the first process to ask makes it, and others wait for it.

    Args:
        path: The keypoint set.
        data: Where maps lie, the persons that are kept, and how clips are normalised.

    Raises:
        DataError: If the set cannot be read, or there is no room for its map.
    """
    path = path.resolve()
    place = (data.map_folder or path.with_name(f"{path.name}.map")) / _fingerprint(path, data)
    if not (place / CLIPS).is_file():
        try:
            place.mkdir(parents=True, exist_ok=True)
            with _alone(place):
                if not (place / CLIPS).is_file():
                    write_map(path, data, place)
        except OSError as error:
            raise DataError(
                f"{place}: the map of {path} cannot be written ({error.strerror or error}); make room, and the same "
                "command goes on from there, or name another folder as data.map_folder."
            ) from error
    persons, frames = np.ascontiguousarray(np.load(place / CLIPS, allow_pickle=False).T)
    return PoseMap(place, persons, frames)


def _fingerprint(path: Path, data: DataConfig) -> str:
    """Return a name that changes with the set's files, with what is done to their clips, and with the code for it."""
    settings = [data.persons, data.centre, data.scale == "body", data.face_camera]
    # Origin and size come from the skeleton, the kept persons from the reader.
    code = [repr(read_header(path).skeleton), *map(inspect.getsource, (normalising, set_reader))]
    content = json.dumps([shard_states(path), settings, code])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Keep other processes out; the end of this one, whatever it is, lets the next in."""
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
