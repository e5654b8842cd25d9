"""Sets that do not fit into memory: noticed before they are read where that can be known, and said in any case."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pcan_pose.errors import DataError

_SHARE = 0.9
"""Of the free memory; a run needs some for itself."""


def check_room(path: Path, needed: int) -> None:
    """Check that a set's clips fit into main memory.

    Args:
        path: The keypoint set.
        needed: Bytes that its clips will take.

    Raises:
        DataError: If they do not; it names the setting that does without.
    """
    available = available_bytes()
    if available is not None and needed > _SHARE * available:
        raise DataError(
            f"{path}: the clips take {needed / 1e9:.1f} GB, {available / 1e9:.1f} GB are free; set data.memory=map, "
            "which reads clips from disk as they are needed."
        )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Return a context for reading a set, in which a lack of memory is a `DataError` that says what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's allocator of main memory raises nothing more special than a RuntimeError.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        raise DataError(
            f"{path}: the set does not fit into memory ({str(error).splitlines()[0] if str(error) else 'no reason'}); "
            "set data.memory=map, which reads clips from disk as they are needed."
        ) from error


def available_bytes() -> int | None:
    """Return the main memory that a process may still take, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(sizes[0]) * 1024 if sizes else None
