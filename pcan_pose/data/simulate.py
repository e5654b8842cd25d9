"""Simulated MA-52 clips: a seated person's 52 micro-actions as noisy 2-D keypoints, for demos, tests and benchmarks.

Clips are made in blocks of a fixed size, each with its own random stream, as arrays over all clips and frames of the
block. So a clip depends on the configuration and its own number, not on how many clips are asked for, nor on portions.

Shapes: N clips, B clips of a block, T frames, V joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_pose.data.simulate_body import LAYOUT
from pcan_pose.data.simulate_camera import observe, project
from pcan_pose.data.simulate_people import draw_people, enact
from pcan_pose.errors import ConfigError
from pcan_pose.keypoints import Header, KeypointSet
from pcan_pose.taxonomy import MA52

# The block decides the random numbers: another size gives other clips.
BLOCK = 256
BLOCKS_A_CHUNK = 4
SPLIT_PATTERN = ("train", "val", "test", "train", "train")
LEAST_A_CLASS = 3

# Clips of each action in MA-52's public train split (11,250 in all).
MA52_TRAIN_COUNTS = (
    309, 150, 20, 9, 156, 337, 242, 456, 962, 1283, 1193, 227, 112, 95, 42, 82, 76, 355, 87, 277, 147, 356, 373, 397,
    238, 66, 92, 97, 60, 231, 259, 398, 63, 82, 53, 33, 43, 43, 89, 82, 58, 126, 66, 147, 52, 6, 25, 68, 421, 497,
    92, 20,
)  # fmt: skip

# Streams of random numbers: what depends on the seed alone, on a subject, on a block.
_LABELS, _SUBJECTS, _MOTION, _SENSOR = range(4)


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """What to simulate.

    Attributes:
        clips: How many clips, at least 1.
        subjects: How many people they are of, at least 1.
        seed: The seed, at least 0; equal configurations give equal clips.
        long_tail: Whether the actions are as frequent as in MA-52's train split (with 156 clips or more each at least
            3 times, so that it is in every split) or all alike.
        noise: How noisy the keypoints are, at least 0; 1 resembles a good 2-D estimator, 0 gives exact positions,
            full scores and no missing hands.
        ambiguity: How alike the actions are, at least 0: scatter of targets and amplitudes, and movements of other
            actions on the side; 1 is meant to be hard, 0 leaves clean prototypes.
        width: Width of the picture in pixels, at least 16.
        height: Height of the picture in pixels, at least 16.
        fps: Frames per second, at least 4; clips last 1.5 to 2.5 s.
    """

    clips: int = 2000
    subjects: int = 20
    seed: int = 0
    long_tail: bool = False
    noise: float = 1.0
    ambiguity: float = 1.0
    width: int = 1080
    height: int = 1296
    fps: float = 30.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: With one fault for each value out of range.
        """
        least = {"clips": 1, "subjects": 1, "seed": 0, "noise": 0, "ambiguity": 0, "width": 16, "height": 16, "fps": 4}
        values = {name: getattr(self, name) for name in least}
        faults = [
            f"simulation: {name} is {values[name]}, expected a finite number of at least {low}."
            for name, low in least.items()
            # Written so that NaN fails too.
            if not low <= values[name] < float("inf")
        ]
        if faults:
            raise ConfigError(*faults)

    @property
    def header(self) -> Header:
        """The header of the noisy keypoints."""
        return Header(layout=LAYOUT.name, dims=2, estimator="simulated", taxonomy=MA52)


def simulate(config: SimulationConfig) -> KeypointSet:
    """Return all clips of a configuration as one keypoint set in layout openpose28, 2-D pixels."""
    return _joined(list(simulate_chunks(config)))


def simulate_chunks(config: SimulationConfig) -> Iterator[KeypointSet]:
    """Yield the clips of a configuration in order, at most 1,024 at a time; memory stays bounded by one such set."""
    labels, splits = plan(config)
    blocks = -(-config.clips // BLOCK)
    for first in range(0, blocks, BLOCKS_A_CHUNK):
        here = range(first, min(first + BLOCKS_A_CHUNK, blocks))
        yield _joined([_block(config, block, labels, splits, clean=False) for block in here])


def clean_clips(config: SimulationConfig, indices: Sequence[int] | NDArray[np.int64] | None = None) -> KeypointSet:
    """Return the motion behind the clips, without an estimator's noise: keypoints (x, y, depth), every score 1.

    Unlike other 3-D keypoints they are in the picture's pixels, as the header says; the depth grows away from the
    camera and tells what hides what.

    Args:
        config: The configuration that the clips come from.
        indices: The numbers of the clips, 0 to ``config.clips - 1``; all by default.

    Raises:
        ConfigError: If a number is out of range.
    """
    wanted = np.arange(config.clips) if indices is None else np.asarray(indices, dtype=np.int64)
    outside = wanted[(wanted < 0) | (wanted >= config.clips)]
    if outside.size:
        raise ConfigError(f"simulation: clip number {outside[0]}, expected 0 to {config.clips - 1}.")
    labels, splits = plan(config)
    parts, places = [], []
    for block in np.unique(wanted // BLOCK):
        positions = np.flatnonzero(wanted // BLOCK == block)
        parts.append(_block(config, int(block), labels, splits, clean=True).select(wanted[positions] - block * BLOCK))
        places.append(positions)
    return _joined(parts).select(np.argsort(np.concatenate(places), kind="stable"))


def plan(config: SimulationConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the action of every clip and its position in ``SPLIT_PATTERN``, int64 (N,) each, in whole blocks.

    Balanced, every 52 clips hold each action once. With a long tail the first 3 * 52 clips do, and from there on
    an action comes as often as in MA-52 as soon as its share exceeds what it already has. Either way a longer plan
    begins with the shorter one. Of 5 clips of an action, in order, 3 are for training, 1 for validation, 1 for testing.
    """
    total = -(-config.clips // BLOCK) * BLOCK
    num_actions = MA52.num_actions
    rounds = LEAST_A_CLASS if config.long_tail else -(-total // num_actions)
    order = _random(config, _LABELS).random((rounds, num_actions)).argsort(1)
    labels = order.reshape(-1)
    if config.long_tail:
        share = np.array(MA52_TRAIN_COUNTS) / sum(MA52_TRAIN_COUNTS)
        most = np.ceil(share * (total + 1) * 1.2).astype(np.int64) + LEAST_A_CLASS
        late, when = [], []
        for action in range(num_actions):
            spread = _random(config, _LABELS, action + 1).random(most[action])
            later = np.arange(most[action]) >= LEAST_A_CLASS
            when.append(((np.arange(most[action]) + spread) / share[action])[later])
            late.append(np.full(int(later.sum()), action))
        labels = np.concatenate([labels, np.concatenate(late)[np.argsort(np.concatenate(when), kind="stable")]])
    labels = labels[:total]
    by_action = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=num_actions)
    occurrence = np.empty_like(labels)
    occurrence[by_action] = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return labels, occurrence % len(SPLIT_PATTERN)


def _joined(parts: list[KeypointSet]) -> KeypointSet:
    """Return the clips of sets that share their header as one set."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in fields(KeypointSet) if field.name != "header"):
        values = [getattr(part, name) for part in parts]
        columns[name] = np.concatenate(values) if isinstance(values[0], np.ndarray) else list(chain(*values))
    return KeypointSet(header=parts[0].header, **columns)


def _random(config: SimulationConfig, *stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([config.seed, *stream]))


def _block(
    config: SimulationConfig, block: int, labels: NDArray[np.int64], splits: NDArray[np.int64], *, clean: bool
) -> KeypointSet:
    """Return the clips of one block that the configuration asks for."""
    first = block * BLOCK
    count = min(BLOCK, config.clips - first)
    here = slice(first, first + BLOCK)
    people = draw_people(_random(config, _SUBJECTS), config.subjects)
    rng = _random(config, _MOTION, block)
    joints, subject, frames = enact(rng, people, labels[here], config.ambiguity, config.fps)  # (V, 3, B, T)
    pixels = project(rng, joints, config.width, config.height)  # (B, T, V, 3)
    if clean:
        keypoints, scores = pixels, np.ones(pixels.shape[:3], np.float32)
        header = Header(
            layout=LAYOUT.name, dims=3, estimator="simulated, without noise", taxonomy=MA52, extra={"unit": "pixels"}
        )
    else:
        sensor = _random(config, _SENSOR, block)
        keypoints, scores = observe(sensor, pixels, config.noise, config.height, config.fps)
        header = config.header
    inside = np.arange(pixels.shape[1]) < frames[:count, None]  # (count, T)
    return KeypointSet(
        header=header,
        clip_ids=[f"sim_{i:06d}" for i in range(first, first + count)],
        splits=[(SPLIT_PATTERN[i],) for i in splits[first : first + count]],
        labels=labels[first : first + count],
        subjects=[f"s{i:03d}" for i in subject[:count]],
        fps=np.full(count, config.fps, np.float32),
        width=np.full(count, config.width, np.int32),
        height=np.full(count, config.height, np.int32),
        frames=frames[:count],
        persons=np.ones(count, np.int64),
        sources=[f"simulated, seed {config.seed}"] * count,
        keypoints=keypoints[:count][inside],
        scores=scores[:count][inside],
    )
