"""The crops of some clips, and batches of them that are read while the network works on the one before.

Shapes: N clips, B clips of a batch, T frames, S side of a stored picture.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pcan_pose.crop_cache import CropCache

Job = TypeVar("Job")
Batch = TypeVar("Batch")


class RGBDataset:
    """Crops of clips, read from a cache on disk.

    Args:
        crops: The cache, or its folder; it may hold other clips too.
        clip_ids: Which clips, in their order.

    Raises:
        DataError: If the cache cannot be used, or clips are not in it.
    """

    def __init__(self, crops: CropCache | str | Path, clip_ids: Sequence[str]) -> None:
        self.cache = crops if isinstance(crops, CropCache) else CropCache(crops)
        self.clip_ids = list(clip_ids)
        self._places = self.cache.places(self.clip_ids)

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def size(self) -> int:
        """Side of a stored picture, S."""
        return self.cache.settings.size

    def batch(self, clips: Tensor, offsets: Tensor, *, pin: bool = False) -> Tensor:
        """Return frames of clips, uint8 (B, T, S, S, 3), in main memory.

        A clip is cut into T equal parts, and each gives the frame at its offset; a clip of fewer stored frames gives
        some of them more than once.

        Args:
            clips: int64 (B,), positions among the clips.
            offsets: float32 (B, T) in [0, 1): from the first to the last frame of each part.
            pin: Whether the memory is pinned, so that it is copied to a GPU while that works.
        """
        places = self._places[clips.cpu().numpy()]
        within = offsets.cpu().numpy().astype(np.float64)  # (B, T)
        parts = within.shape[1]
        stored = self.cache.frames[places][:, None]  # (B, 1)
        frames = ((np.arange(parts) + within) * stored / parts).astype(np.int64).clip(max=stored - 1)  # (B, T)
        pictures = torch.empty(*frames.shape, self.size, self.size, 3, dtype=torch.uint8, pin_memory=pin)
        self.cache.read(places, frames, pictures.numpy())
        return pictures


def middle_offsets(batch: int, frames: int) -> Tensor:
    """Return the offsets of the middle frames, float32 (B, T)."""
    return torch.full((batch, frames), 0.5)


def prefetch(jobs: Iterable[Job], work: Callable[[Job], Batch], *, ahead: int = 2) -> Iterator[Batch]:
    """Yield the result of each job in order; a thread works in advance.

    One thread suffices: copying from the memory map leaves the interpreter to others, and needs no process to hand
    batches over. It ends with the iteration, also when that is left early; an error in it is raised here.

    Args:
        jobs: What to work on.
        work: Makes a batch of a job.
        ahead: Most batches that wait, >= 1.
    """
    waiting: queue.Queue[tuple[Batch | None, BaseException | None]] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(batch: Batch | None, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                return waiting.put((batch, error), timeout=0.1)
            except queue.Full:
                continue

    def run() -> None:
        try:
            for job in jobs:
                if stopped.is_set():
                    return
                put(work(job))
        except BaseException as error:
            put(None, error)
        else:
            put(None)

    thread = threading.Thread(target=run, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            batch, error = waiting.get()
            if error is not None:
                raise error
            if batch is None:
                return
            yield batch
    finally:
        stopped.set()
        thread.join()
