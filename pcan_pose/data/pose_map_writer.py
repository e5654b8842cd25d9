"""Writes the map of a keypoint set shard by shard, in the memory of some dozen clips; see `pose_map`.

Shapes: N clips of the set, R rows (person-frames of the kept persons), V joints, C coordinates.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pcan_pose.atomic import atomic_write
from pcan_pose.config import DataConfig
from pcan_pose.data.dataset import first_persons
from pcan_pose.data.normalise import normalise
from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet, read_header, shard_paths

log = logging.getLogger(__name__)

KEYPOINTS = "keypoints.npy"
SCORES = "scores.npy"
CLIPS = "clips.npy"
_PROGRESS = "progress.json"
_CLIPS_AT_ONCE = 64


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
    counts = [_counts(shard, data.persons) for shard in shards]  # (N_s, 2) each
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
            for part in _parts(shard):
                kept = first_persons(part, data.persons)
                arrays = normalise(
                    kept, centre=data.centre, scale=data.scale == "body", face_camera=data.face_camera
                )  # (R, V, C), (R, V)
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
    with atomic_write(place / CLIPS) as temporary:
        np.save(temporary, np.concatenate(counts))
    (place / _PROGRESS).unlink()


def _counts(shard: Path, most: int) -> npt.NDArray[np.int64]:
    """Return the persons that are kept and the frames of each clip of a shard, int64 (N_s, 2)."""
    table = pq.read_table(shard, columns=["persons", "frames"], partitioning=None)
    # An unknown count is refused where the clip is read.
    persons, frames = (table[name].fill_null(0).to_numpy().astype(np.int64) for name in ("persons", "frames"))
    return np.stack([persons.clip(max=most), frames], axis=1)


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


def _parts(shard: Path) -> Iterator[KeypointSet]:
    """Yield a shard's clips, some at a time; a shard may itself be larger than memory."""
    try:
        # Through a buffer: otherwise a whole column's bytes are read at once.
        file = pq.ParquetFile(shard, buffer_size=1 << 20)
        for batch in file.iter_batches(_CLIPS_AT_ONCE):
            table = pa.Table.from_batches([batch]).replace_schema_metadata(file.schema_arrow.metadata)
            yield KeypointSet.from_table(table, shard)
    except (pa.ArrowException, OSError) as error:
        text = str(error).splitlines()[0]
        raise DataError(f"{shard}: not a readable Parquet file ({text}); make the shard again.") from error
