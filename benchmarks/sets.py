"""The keypoint sets that benchmarks train on, made where they do not exist yet."""

from pathlib import Path

import numpy as np

from pcan_pose.data.simulate import SimulationConfig, simulate
from pcan_pose.keypoints import KeypointSet, read_set, write_set
from pcan_pose.splits import long_tail


def simulated_set(work: Path, *, clips: int, train_clips: int, seed: int, ratio: float | None = None) -> Path:
    """Return a set of MA-52's 52 actions, as frequent as each other, with few clips to train on and many to test.

    Args:
        work: Folder in which the set lies.
        clips: Clips of the simulation; a fifth each are val and test.
        train_clips: Clips of the train split that stay.
        seed: Seed of the simulator, and of the long tail's ranks.
        ratio: With a ratio, every split has a long-tailed copy: ``long_tail_train`` and so on.
    """
    tail = "" if ratio is None else f"_long_tail_{ratio:g}"
    folder = work / f"set_{clips}_{train_clips}_{seed}{tail}"
    if not folder.is_dir():
        made = few_to_train(simulate(SimulationConfig(clips=clips, seed=seed)), train_clips)
        write_set(folder, with_tails(made, ("train", "val", "test"), ratio, seed) if ratio is not None else made)
    return folder


def long_tailed_set(data: Path, work: Path, splits: tuple[str, ...], *, ratio: float, seed: int) -> Path:
    """Return a copy of a set in which the splits have long-tailed copies; what 'data split --by long-tail' makes."""
    folder = work / f"long_tail_{ratio:g}_{seed}"
    if not folder.is_dir():
        write_set(folder, with_tails(read_set(data), splits, ratio, seed))
    return folder


def with_tails(keypoint_set: KeypointSet, splits: tuple[str, ...], ratio: float, seed: int) -> KeypointSet:
    """Return the set with a long-tailed copy of each of the splits, the actions' ranks alike in all of them."""
    for split in splits:
        keypoint_set = long_tail(keypoint_set, split, ratio, seed=seed)
    return keypoint_set


def few_to_train(keypoint_set: KeypointSet, clips: int) -> KeypointSet:
    """Return the set without its train split's clips after the first few."""
    training = keypoint_set.in_split("train")
    kept = np.setdiff1d(np.arange(len(keypoint_set)), training[clips:])
    return keypoint_set.select(kept)
