"""How fast batches come from memory and from mapped files."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch

from pcan_pose.config import DataConfig
from pcan_pose.data import mapped_dataset
from pcan_pose.data.clip_index import read_index
from pcan_pose.data.pose_map import open_map
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.source import ClipSource

IN_MEMORY = "in memory"
WARM = "mapped, in the page cache"
COLD = "mapped, from disk"
SCATTERED = "mapped, from disk, as if larger than memory"


def one_epoch(source: ClipSource, batch: int) -> float:
    """Return the seconds of an epoch's batches, shuffled, without a network."""
    generator = torch.Generator(source.device).manual_seed(0)
    order = torch.randperm(len(source), generator=generator, device=source.device)
    start = time.perf_counter()
    for inputs in source.training_batches(torch.split(order, batch), slice(None), generator):
        del inputs
    if source.device.type == "cuda":
        torch.cuda.synchronize(source.device)
    return time.perf_counter() - start


def loader_rates(data: DataConfig, batch: int, device: torch.device) -> dict[str, float]:
    """Return the clips a second of each way to have a set's clips.

    Files from disk means that the system was told to forget them; a disk below it may still know them.

    Args:
        data: The set and its batches.
        batch: Clips of a batch.
        device: Where batches live.
    """
    # Its map is made before the clock starts.
    folder = open_map(data.path, data).folder
    on_disk = data.model_copy(update={"memory": "map"})
    index = read_index(data.path)
    memory = PoseSource.from_set(index, data.model_copy(update={"memory": "device"}), device)
    one_epoch(memory, batch)
    seconds = {IN_MEMORY: one_epoch(memory, batch)}
    _forget(folder)
    mapped = PoseSource.from_set(index, on_disk, device)
    seconds[COLD] = one_epoch(mapped, batch)
    seconds[WARM] = one_epoch(mapped, batch)
    del mapped
    with larger_than_memory(data):
        scattered = PoseSource.from_set(index, on_disk, device)
    seconds[SCATTERED] = one_epoch(scattered, batch)
    return {name: len(memory) / value for name, value in seconds.items()}


@contextmanager
def larger_than_memory(data: DataConfig) -> Iterator[None]:
    """Return a context in which a set's map is opened as one larger than memory, none of which is there.

    Such a map is read clip by clip, without what lies around; a small one is read so by saying that no memory is free.
    """
    _forget(open_map(data.path, data).folder)
    with patch.object(mapped_dataset, "available_bytes", lambda: 0):
        yield


def _forget(folder: Path) -> None:
    """Take a map's files out of the page cache; nobody may have them mapped."""
    for file in folder.glob("*.npy"):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
