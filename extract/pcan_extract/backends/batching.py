"""Batches that are filled from several videos, one after the other.

A video's crops come from an iterator that decodes and looks for people as it is asked; what goes wrong there is the
fault of this video alone.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Crop = TypeVar("Crop")
Row = TypeVar("Row")

Crops = Generator[Crop, None, None]
"""The crops of one video, in order."""


@dataclass(eq=False)
class Answers(Generic[Row]):
    """What the network answers to one video's crops.

    Args:
        rows: One for each crop, in order; incomplete after an error.
        seconds: Time that went into the video: its crops, and its share of its batches.
        error: What ended it early, or None.
    """

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    error: Exception | None = None
    _open: int = 1  # 1 for the iterator, 1 for each crop without an answer

    @property
    def complete(self) -> bool:
        """Whether nothing is left to come."""
        return self.error is not None or not self._open


def fill_batches(
    videos: Iterable[Crops[Crop]], network: Callable[[list[Crop]], Sequence[Row]], size: int
) -> Iterator[Answers[Row]]:
    """Yield the answers to each video's crops, in the order of the videos, each as soon as it is complete.

    Every batch but the last is full, whichever videos its crops come from. A video is taken when the one before has
    given all of its crops. A video that raises loses its places in the batch, so that its neighbours do not fail; a
    network that raises fails for all videos of the batch.

    Args:
        videos: The crops of each video; closed when they are done with.
        network: Gives one row for each crop of a batch.
        size: Crops in a full batch, >= 1.
    """
    waiting: deque[Answers[Row]] = deque()
    batch: list[tuple[Answers[Row], Crop]] = []
    for crops in videos:
        video: Answers[Row] = Answers()
        waiting.append(video)
        with closing(crops):
            for crop in _taken(crops, video):
                batch.append((video, crop))
                video._open += 1
                if len(batch) == size:
                    _answer(batch, network)
                    batch = []
                    yield from _complete(waiting)
        video._open -= 1
        if video.error is not None:
            batch = [each for each in batch if each[0] is not video]
        yield from _complete(waiting)
    if batch:
        _answer(batch, network)
    yield from _complete(waiting)


def _taken(crops: Crops[Crop], video: Answers[Any]) -> Iterator[Crop]:
    """Return an iterator over a video's crops that ends where the video, or the network on it, fails."""
    while video.error is None:
        start = time.perf_counter()
        try:
            crop = next(crops)
        except StopIteration:
            return
        except Exception as error:
            video.error = error
            return
        finally:
            video.seconds += time.perf_counter() - start
        yield crop


def _answer(batch: list[tuple[Answers[Row], Crop]], network: Callable[[list[Crop]], Sequence[Row]]) -> None:
    """Return nothing; give each crop's answer, and its share of the time, to its video."""
    start = time.perf_counter()
    failure: Exception | None = None
    rows: Sequence[Row] = ()
    try:
        rows = network([crop for _, crop in batch])
    except Exception as error:
        failure = error
    share = (time.perf_counter() - start) / len(batch)
    for video, _ in batch:
        video.seconds += share
        video.error = video.error or failure
    if failure is None:
        for (video, _), row in zip(batch, rows, strict=True):
            video.rows.append(row)
            video._open -= 1


def _complete(waiting: deque[Answers[Row]]) -> Iterator[Answers[Row]]:
    while waiting and waiting[0].complete:
        yield waiting.popleft()
