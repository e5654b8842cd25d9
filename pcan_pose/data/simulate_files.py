"""Simulated clips on disk: a keypoint set and a folder of videos, made portion by portion."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pcan_pose.atomic import atomic_folder
from pcan_pose.data.simulate import SimulationConfig, clean_clips, simulate_chunks
from pcan_pose.data.simulate_video import render_clip
from pcan_pose.errors import DataError
from pcan_pose.keypoints import shard_name, write_shard

# Clips that one process renders before it reports; few enough for a progress bar to move.
_PORTION = 32


def write_simulation(config: SimulationConfig, path: str | Path, advance: Callable[[int], None] | None = None) -> None:
    """Write the keypoint set of a simulation, one shard in memory at a time; the folder appears whole or not at all.

    Args:
        config: What to simulate.
        path: The folder, which must not exist.
        advance: Called with the number of clips after each shard.

    Raises:
        DataError: If the path exists.
    """
    with _appearing(Path(path)) as folder:
        for number, chunk in enumerate(simulate_chunks(config)):
            write_shard(folder / shard_name(number), chunk)
            if advance:
                advance(len(chunk))


def render_simulation(
    config: SimulationConfig,
    path: str | Path,
    *,
    height: int = 256,
    workers: int = 1,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Write one video a clip, ``<clip id>.mp4``, without the keypoints' noise; the folder appears whole or not at all.

    Args:
        config: What to simulate.
        path: The folder, which must not exist.
        height: Height of the videos in pixels, even, at least 32.
        workers: Processes; the videos do not depend on their number.
        advance: Called with the number of clips after each portion.

    Raises:
        DataError: If the path exists or the height does not suit.
        MissingDependencyError: If PyAV or Pillow is not installed.
    """
    starts = range(0, config.clips, _PORTION)
    with _appearing(Path(path)) as folder:
        if workers == 1:
            for start in starts:
                count = _render_portion(config, start, folder, height)
                if advance:
                    advance(count)
            return
        # Spawned, because a fork copies the locks of whatever threads the caller runs.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            try:
                portions = [pool.submit(_render_portion, config, start, folder, height) for start in starts]
                for portion in as_completed(portions):
                    count = portion.result()
                    if advance:
                        advance(count)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _render_portion(config: SimulationConfig, start: int, folder: Path, height: int) -> int:
    """Render some clips and return how many."""
    clips = clean_clips(config, np.arange(start, min(start + _PORTION, config.clips)))
    for clip in clips.clips():
        render_clip(clip, folder / f"{clip.clip_id}.mp4", height=height)
    return len(clips)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a folder that gets its name when all went well, and is removed otherwise."""
    if path.exists():
        raise DataError(f"{path}: already exists; name another folder, or delete it first.")
    with atomic_folder(path) as folder:
        yield folder
