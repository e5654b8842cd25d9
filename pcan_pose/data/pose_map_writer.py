"""Writes the map of a keypoint set shard by shard, in the memory of some dozen clips; see `pose_map`.

Shapes: N clips of the set, R rows (person-frames of the kept persons), V joints, C coordinates.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pcan_pose.atomic import atomic_write, save_array
from pcan_pose.config import DataConfig
from pcan_pose.data.set_reader import clip_counts, clip_parts, normalised
from pcan_pose.errors import DataError
from pcan_pose.keypoints import read_header, shard_paths

log = logging.getLogger(__name__)

KEYPOINTS = "keypoints.npy"
SCORES = "scores.npy"
CLIPS = "clips.npy"
_PROGRESS = "progress.json"


def write_map(path: Path, data: DataConfig, place: Path) -> None:
    """Write a set's map, or what an interrupted start left out of it.

    Args:
        path: The keypoint set.
        data: The persons that are kept, and how clips are normalised.
        place: The map's folder; nobody else writes there.

    Raises:
        DataError: If the set cannot be read, or there is no room for its map.
        OSError: If the map cannot be written.
    """
    shards, header = shard_paths(path), read_header(path)
    counts = [clip_counts(shard, data.persons) for shard in shards]  # (N_s, 2) each
    ends = [0, *np.cumsum([int(count.prod(1).sum()) for count in counts]).tolist()]
    done = _finished(place)
    joints, dims = header.skeleton.num_joints, header.dims
    needed, free = (ends[-1] - ends[done]) * joints * (dims + 1) * 4, shutil.disk_usage(place).free
    if needed > free:
        raise DataError(
            f"{place}: the map of {path} needs {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free; make room, "
            "or name another folder as data.map_folder."
        )
    log.info("mapping %s: %d of %d shards, %.1f GB to %s", path, len(shards) - done, len(shards), needed / 1e9, place)
    with (
        _open_array(place / KEYPOINTS, (ends[-1], joints, dims), ends[done]) as keypoints,
        _open_array(place / SCORES, (ends[-1], joints), ends[done]) as scores,
    ):
        for number, shard in enumerate(shards[done:], done):
            rows = 0
            for part in clip_parts(shard):
                arrays = normalised(part, data)  # (R, V, C), (R, V)
                # Not through a writable memory map: on a full disk that ends the process instead of raising.
                for file, array in zip((keypoints, scores), arrays, strict=True):
                    file.write(np.ascontiguousarray(array).data)
                rows += len(arrays[0])
            assert rows == ends[number + 1] - ends[number]
            for file in (keypoints, scores):
                file.flush()
                os.fsync(file.fileno())
            with atomic_write(place / _PROGRESS) as temporary:
                temporary.write_text(json.dumps({"shards": number + 1}), encoding="utf-8")
    save_array(place / CLIPS, np.concatenate(counts))
    (place / _PROGRESS).unlink()


def _finished(place: Path) -> int:
    """Return how many shards an interrupted start has written."""
    file = place / _PROGRESS
    return int(json.loads(file.read_text(encoding="utf-8"))["shards"]) if file.exists() else 0


def _open_array(file: Path, shape: tuple[int, ...], row: int) -> BinaryIO:
    """Return a file of a float32 array, to be written from a row on; what comes before is kept."""
    opened = file.open("r+b" if row else "wb")
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]
        opened, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    place = opened.tell() + row * int(np.prod(shape[1:])) * 4
    if opened.seek(0, os.SEEK_END) < place:
        opened.close()
        raise DataError(f"{file}: is shorter than {_PROGRESS} beside it says; delete the folder and start again.")
    opened.seek(place)
    opened.truncate()
    return opened
