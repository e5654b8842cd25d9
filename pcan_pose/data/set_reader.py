"""A set's clips as runs take them, normalised, read some at a time: what memory and maps are filled from.

Shapes: N clips of a shard, R rows (person-frames of the kept persons), V joints, C coordinates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pcan_pose.config import DataConfig
from pcan_pose.data.normalise import Floats, normalise
from pcan_pose.errors import DataError, first_faults
from pcan_pose.keypoints import KeypointSet, unreadable

_CLIPS_AT_ONCE = 64


def clip_counts(shard: Path, most: int) -> npt.NDArray[np.int64]:
    """Return the persons that are kept and the frames of each clip of a shard, int64 (N, 2).

    Args:
        shard: A Parquet file of the set.
        most: Persons to keep of each clip.

    Raises:
        DataError: If the shard is damaged.
    """
    with _named(shard):
        table = pq.read_table(shard, columns=["persons", "frames"], partitioning=None)
    persons, frames = (table[name].fill_null(-1).to_numpy().astype(np.int64) for name in ("persons", "frames"))
    if min(persons.min(initial=0), frames.min(initial=0)) < 0:
        # What reads the clips says which one it is and what is wrong with it.
        for _ in clip_parts(shard):
            pass
    return np.stack([persons.clip(max=most), frames], axis=1)


def clip_parts(shard: Path, places: npt.NDArray[np.int64] | None = None) -> Iterator[KeypointSet]:
    """Yield a shard's clips, some at a time; a shard may itself be larger than memory.

    Args:
        shard: A Parquet file of the set.
        places: int64, which of its clips, sorted; None for all. Parts without any are left out.

    Raises:
        DataError: If the shard is damaged.
    """
    if places is not None and not len(places):
        return
    stop = 0
    with _named(shard):
        # Through a buffer: otherwise a whole column's bytes are read at once.
        file = pq.ParquetFile(shard, buffer_size=1 << 20)
        for batch in file.iter_batches(_CLIPS_AT_ONCE):
            table = pa.Table.from_batches([batch]).replace_schema_metadata(file.schema_arrow.metadata)
            start, stop = stop, stop + len(table)
            if places is not None:
                here = places[slice(*np.searchsorted(places, [start, stop]))]
                if not len(here):
                    continue
                table = table.take(here - start)
            yield KeypointSet.from_table(table, shard)


@contextmanager
def _named(shard: Path) -> Iterator[None]:
    """Return a context in which an error of the file is a `DataError` that names the shard."""
    try:
        yield
    except MemoryError:
        raise  # Arrow's own is one of its exceptions too, and says nothing against the shard
    except (pa.ArrowException, OSError) as error:
        raise unreadable(shard, error) from error


def normalised(clips: KeypointSet, data: DataConfig) -> tuple[Floats, Floats]:
    """Return the kept persons' keypoints (R, V, C), normalised as the configuration says, and their scores (R, V)."""
    # First, because a person who is not kept must not move the origin or the size of those who are.
    kept = first_persons(clips, data.persons)
    return normalise(kept, centre=data.centre, scale=data.scale == "body", face_camera=data.face_camera)


def first_persons(keypoint_set: KeypointSet, persons: int) -> KeypointSet:
    """Return the set with at most so many persons in each clip, the first ones."""
    kept = np.minimum(keypoint_set.persons, persons)  # (N,)
    lengths = np.diff(keypoint_set.offsets)  # (N,)
    place = np.arange(len(keypoint_set.keypoints)) - np.repeat(keypoint_set.offsets[:-1], lengths)  # (R,), in the clip
    rows = place < np.repeat(kept * keypoint_set.frames, lengths)  # (R,)
    return replace(keypoint_set, persons=kept, keypoints=keypoint_set.keypoints[rows], scores=keypoint_set.scores[rows])


def refuse_empty(clip_ids: list[str], rows: npt.NDArray[np.int64]) -> None:
    """Check that every clip has a row.

    Args:
        clip_ids: N names.
        rows: int64 (N,), rows of each clip.

    Raises:
        DataError: One line for each clip without any.
    """
    if empty := [clip_ids[i] for i in np.flatnonzero(rows == 0).tolist()]:
        faults = [
            f"clip {name!r} has no frame, or no person; leave it out with 'pcan-pose data select --without' "
            "('pcan-pose data validate' lists all)."
            for name in empty
        ]
        raise DataError(*first_faults(faults))
