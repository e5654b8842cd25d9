"""Keypoint sets on disk: a folder of Parquet shards, one row a clip."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pcan_pose.atomic import atomic_folder, atomic_write
from pcan_pose.clips import Clip, Header
from pcan_pose.errors import DataError, PcanError, first_names
from pcan_pose.keypoint_set import KeypointSet

__all__ = [
    "Clip",
    "Header",
    "KeypointSet",
    "check_writable",
    "read_header",
    "read_set",
    "shard_name",
    "shard_paths",
    "unreadable",
    "write_set",
    "write_shard",
]

_ARRAYS = {"keypoints", "scores"}
_PICKLES = (".pkl", ".pickle")


def shard_paths(path: str | Path) -> list[Path]:
    """Return the Parquet shards of a set, sorted: the file itself, or a folder's ``part-*.parquet``.

    Raises:
        DataError: If there is nothing at the path, or no shard in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no keypoint set there; make one with 'pcan-pose extract' or 'pcan-pose data import'.")
    shards = sorted(path.glob("part-*.parquet"))
    if not shards:
        raise DataError(
            f"{path}: the folder holds no part-*.parquet; is it a keypoint set whose extraction has finished?"
        )
    return shards


def read_header(path: str | Path) -> Header:
    """Return the header of a set, read from its first shard.

    Raises:
        DataError: If there is no set at the path.
    """
    first = shard_paths(path)[0]
    try:
        return Header.from_metadata(pq.read_schema(first).metadata, first)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(first, error) from error


def read_set(path: str | Path, *, unique: bool = True, arrays: bool = True) -> KeypointSet:
    """Return the keypoint set of a folder of shards, or of one shard.

    Args:
        path: The folder or the shard.
        unique: Whether a clip id that comes twice is an error.
        arrays: Whether keypoints and scores are read; without them every clip has 0 persons, whatever the file says.

    Raises:
        DataError: If a shard is missing, damaged or disagrees with the others, or a clip id comes twice.
    """
    tables: list[pa.Table] = []
    faults: list[str] = []
    first: Header | None = None
    for shard in shard_paths(path):
        try:
            table = pq.read_table(shard, partitioning=None) if arrays else _without_arrays(shard)
            header = Header.from_metadata(table.schema.metadata, shard)
        except MemoryError:
            raise  # Arrow's own is one of its exceptions too, and says nothing against the shard
        except (pa.ArrowException, OSError) as error:
            faults += unreadable(shard, error).faults
            continue
        except PcanError as error:
            faults += error.faults
            continue
        first = first or header
        tables.append(table)
        if header != first:
            differing = ", ".join(
                name
                for name in ("layout", "dims", "estimator", "taxonomy", "extra")
                if getattr(header, name) != getattr(first, name)
            )
            faults.append(f"{shard}: {differing} differ from the first shard's; keep them in separate sets.")
        elif table.schema.names != tables[0].schema.names:
            faults.append(f"{shard}: its columns differ from the first shard's; extract or import the set again.")
    if faults:
        raise DataError(*faults)
    keypoint_set = KeypointSet.from_table(pa.concat_tables(tables), path)
    if unique:
        counts = Counter(keypoint_set.clip_ids)
        if twice := [
            f"{path}: clip id {name!r} comes {n} times; ids must be unique." for name, n in counts.items() if n > 1
        ]:
            raise DataError(*twice)
    return keypoint_set


def _without_arrays(shard: Path) -> pa.Table:
    """Return a shard's table whose clips have no persons: whole to every check, and without keypoints and scores."""
    names = pq.read_schema(shard).names
    table = pq.read_table(shard, columns=[name for name in names if name not in _ARRAYS], partitioning=None)
    if "persons" in names:
        place = table.column_names.index("persons")
        table = table.set_column(place, "persons", pa.array(np.zeros(len(table), np.int32)))
    nothing = pa.LargeListArray.from_arrays(np.zeros(len(table) + 1, np.int64), pa.array([], pa.float32()))
    for name in sorted(_ARRAYS & set(names)):
        table = table.append_column(name, nothing)
    return table


def write_shard(file: str | Path, keypoint_set: KeypointSet) -> None:
    """Write one shard: a temporary file beside it, then a rename, so that no reader sees half of it.

    The same set gives the same bytes.
    """
    with atomic_write(file) as temporary:
        # Float bytes compress by a tenth; zstd's lowest level takes that at disk speed.
        pq.write_table(
            keypoint_set.to_table(), temporary, compression="zstd", compression_level=1, use_dictionary=False
        )


def write_set(
    path: str | Path, keypoint_set: KeypointSet, *, clips_per_shard: int = 1024, overwrite: bool = False
) -> None:
    """Write a set as a folder of shards; the folder appears whole or not at all.

    Args:
        path: The folder.
        keypoint_set: What to write.
        clips_per_shard: Clips in one shard.
        overwrite: Whether an existing set may be replaced; a folder that holds anything else never is.

    Raises:
        DataError: If the path exists and must not be replaced.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite)
    with atomic_folder(path) as folder:
        for shard, start in enumerate(range(0, max(len(keypoint_set), 1), clips_per_shard)):
            part = keypoint_set.select(range(start, min(start + clips_per_shard, len(keypoint_set))))
            write_shard(folder / shard_name(shard), part)


def check_writable(path: str | Path, *, overwrite: bool = False) -> None:
    """Check, before the work, that a set may be written there.

    Args:
        path: The folder.
        overwrite: Whether an existing set may be replaced; a folder that holds anything else never is.

    Raises:
        DataError: If the path exists and must not be replaced.
    """
    path = Path(path)
    if not path.exists():
        return
    if not overwrite:
        raise DataError(f"{path}: already exists; name another folder, or allow it to be replaced with --overwrite.")
    if not path.is_dir():
        raise DataError(f"{path}: is a file, not a keypoint set's folder; name another folder.")
    if foreign := sorted(entry.name for entry in path.iterdir() if not entry.match("part-*.parquet")):
        raise DataError(f"{path}: holds more than a keypoint set ({first_names(foreign)}); name another folder.")


def shard_name(number: int) -> str:
    """Return the file name of a set's shard by its number, from 0."""
    return f"part-{number:05d}.parquet"


def unreadable(file: Path, error: Exception) -> DataError:
    """Return what to raise for a shard that could not be read, without advice against files that are whole.

    Args:
        file: The shard.
        error: What Arrow or the system said.
    """
    if file.suffix.lower() in _PICKLES:
        return DataError(f"{file}: a pickle, not a keypoint set; bring it in with 'pcan-pose data import'.")
    # What the system says, such as a permission, has a number; Arrow's own errors about the content have none.
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"{file}: cannot be read ({os.strerror(error.errno)}).")
    return DataError(
        f"{file}: not a readable Parquet file ({str(error).splitlines()[0]}); delete the shard and make it again."
    )
