"""Sets that do not fit into memory: noticed before they are read where that can be known, and said in any case."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pcan_pose.errors import DataError
from pcan_pose.keypoints import shard_paths

# Reading takes more than three times the arrays' bytes at its peak; below this the set cannot fit.
_TIMES = 2
_ARRAYS = ("keypoints.", "scores.")


def check_fits(path: Path) -> None:
    """Check that a set may fit into main memory.

    Args:
        path: The keypoint set.

    Raises:
        DataError: If it cannot; it names the setting that does without.
    """
    needed, available = _TIMES * array_bytes(path), available_bytes()
    if available is not None and needed > available:
        raise DataError(
            f"{path}: reading the set takes more than {needed / 1e9:.1f} GB, {available / 1e9:.1f} GB are free; set "
            "data.memory=map, which reads clips from disk as they are needed."
        )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Return a context for reading a set, in which a lack of memory is a `DataError` that says what helps."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise DataError(
            f"{path}: the set does not fit into memory ({str(error).splitlines()[0] if str(error) else 'no reason'}); "
            "set data.memory=map, which reads clips from disk as they are needed."
        ) from error


def array_bytes(path: Path) -> int:
    """Return the bytes of a set's keypoints and scores as its shards' footers have them, 0 for what is unreadable."""
    total = 0
    for shard in shard_paths(path):
        try:
            footer = pq.read_metadata(shard)
        except (pa.ArrowException, OSError):
            continue  # said by whoever reads the shard
        for group in range(footer.num_row_groups):
            columns = (footer.row_group(group).column(i) for i in range(footer.num_columns))
            total += sum(
                column.total_uncompressed_size for column in columns if column.path_in_schema.startswith(_ARRAYS)
            )
    return total


def available_bytes() -> int | None:
    """Return the main memory that a process may still take, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * 1024 if sizes else None
