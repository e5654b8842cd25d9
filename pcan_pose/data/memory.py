"""Sets that do not fit into memory: noticed before they are read where that can be known, and said in any case."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pcan_pose.errors import DataError

_MEMINFO = Path("/proc/meminfo")
_GROUP_OF_PROCESS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_SHARE = 0.9
"""Of the free memory; a run needs some for itself."""


def check_room(path: Path, needed: int) -> None:
    """Check that a set's clips fit into main memory, once for each process of torchrun on this machine.

    Args:
        path: The keypoint set.
        needed: Bytes that its clips will take.

    Raises:
        DataError: If they do not; it names the setting that does without.
    """
    available, readers = available_bytes(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if available is not None and readers * needed > _SHARE * available:
        times = f" in each of {readers} processes" if readers > 1 else ""
        raise DataError(
            f"{path}: the clips take {needed / 1e9:.1f} GB{times}, {available / 1e9:.1f} GB are free; set "
            "data.memory=map, which reads clips from disk as they are needed."
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
    """Return the main memory that may still be taken, or None where the system does not say.

    In a container or a cluster's job it is what their limit leaves, if it is one of Linux's control groups, version 2.
    """
    try:
        lines = _MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([*sizes, *_room_in_groups()]) if sizes else None


def _room_in_groups() -> Iterator[int]:
    """Return an iterator over what the limits of this process's control groups (Linux, version 2) leave."""
    try:
        lines = _GROUP_OF_PROCESS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for path in (line.removeprefix("0::/") for line in lines if line.startswith("0::/")):
        for group in (_GROUPS / path, *(_GROUPS / path).parents):
            try:
                limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
                stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            except OSError:  # the root has no limit
                continue
            if limit != "max":
                # What the system keeps of files makes room when it is needed.
                kept = sum(int(stat.get(name, 0)) for name in ("active_file", "inactive_file", "slab_reclaimable"))
                yield max(int(limit) - int(used) + kept, 0)
