"""How good a set's keypoints are: how often joints were found, what is missing, how much they tremble.

Shapes: R rows (frames of one person, person after person), K persons' tracks, V joints, C coordinates.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet
from pcan_pose.skeleton import Skeleton

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

SURE = 0.5
"""Score from which a joint counts as surely found."""

GAPS = ("1", "2", "3 to 5", "6 to 10", "11 to 30", "over 30", "at an end", "never found")
"""Kinds of missing joint-frames: by the frames of their gap, before the first or after the last sight, no sight."""

_LONGEST = np.array([1, 2, 5, 10, 30])
_AT_AN_END, _NEVER = len(GAPS) - 2, len(GAPS) - 1
# Jitter is counted in bins 5 % wide, so that sets of any size need no more memory than one shard.
_BINS = np.logspace(-7, 2, 425)


@dataclass(frozen=True, eq=False)
class KeypointQuality:
    """What was measured of a set.

    Args:
        skeleton: Layout of the joints.
        estimator: What made the keypoints.
        clips: Number of clips.
        rows: Number of frames, once for each person, R.
        found: int64 (V,), rows in which a joint has a score above 0.
        sure: int64 (V,), rows in which it has a score of at least `SURE`.
        missing: int64 (V, 8), rows in which it has score 0, by `GAPS`.
        jitter: float64 (3, V), lower quartile, median and upper quartile of the length of the joint's second difference
            over three frames in a row, in parts of the body's size; NaN where the joint has no such frames.
    """

    skeleton: Skeleton
    estimator: str
    clips: int
    rows: int
    found: Counts
    sure: Counts
    missing: Counts
    jitter: npt.NDArray[np.float64]


def measure(shards: Iterable[KeypointSet]) -> KeypointQuality:
    """Return how good the keypoints of a set are; one shard is in memory at a time.

    Jitter is relative to the body's size: the median over the person's frames of the first distance of the skeleton's
    `scale` that they have, or else of the joints' spread.

    Args:
        shards: The set, piece by piece.

    Raises:
        DataError: If there is not one frame.
    """
    clips = rows = 0
    header = None
    found = sure = missing = bins = np.zeros(0, np.int64)
    for shard in shards:
        if header is None:
            header = shard.header
            joints = header.skeleton.num_joints
            found, sure = np.zeros((2, joints), np.int64)
            missing = np.zeros((joints, len(GAPS)), np.int64)
            bins = np.zeros((joints, len(_BINS)), np.int64)
        clips += len(shard)
        rows += len(shard.scores)
        there = shard.scores > 0  # (R, V)
        found += there.sum(0)
        sure += (shard.scores >= SURE).sum(0)
        lengths = np.repeat(shard.frames, shard.persons)  # (K,)
        track = np.repeat(np.arange(len(lengths)), lengths)  # (R,)
        missing += _count_missing(there, track)
        bins += _count_jitter(np.where(there[..., None], shard.keypoints, 0), there, track, header.skeleton)
    if header is None or not rows:
        raise DataError("the set holds no frame; there is nothing to measure.")
    return KeypointQuality(
        header.skeleton, header.estimator, clips, rows, found, sure, missing, jitter=_quartiles(bins)
    )


def _count_missing(found: npt.NDArray[np.bool_], track: Counts) -> Counts:
    """Return how many frames each joint is missing in, by kind of gap, int64 (V, 8)."""
    rows, joints = found.shape
    missing = ~found.T  # (V, R)
    edge = np.ones(rows + 1, np.bool_)
    edge[1:-1] = track[1:] != track[:-1]
    # A run of missing frames begins where the track does or the frame before has the joint.
    begins = missing & (edge[:-1] | ~np.roll(missing, 1, axis=1))
    ends = missing & (edge[1:] | ~np.roll(missing, -1, axis=1))
    joint, first = np.nonzero(begins)
    last = np.nonzero(ends)[1]
    lengths = last - first + 1
    from_start, to_end = edge[first], edge[last + 1]
    kind = np.searchsorted(_LONGEST, lengths)
    kind[from_start | to_end] = _AT_AN_END
    kind[from_start & to_end] = _NEVER
    counts = np.bincount(joint * len(GAPS) + kind, weights=lengths, minlength=joints * len(GAPS))
    return counts.astype(np.int64).reshape(joints, len(GAPS))


def _count_jitter(keypoints: Floats, found: npt.NDArray[np.bool_], track: Counts, skeleton: Skeleton) -> Counts:
    """Return each joint's histogram of second differences in parts of the body's size, int64 (V, bins)."""
    sizes = _sizes(keypoints, found, track, skeleton)[track]  # (R,)
    change = np.linalg.norm(keypoints[2:] - 2 * keypoints[1:-1] + keypoints[:-2], axis=-1)  # (R - 2, V)
    usable = found[2:] & found[1:-1] & found[:-2] & ((track[2:] == track[:-2]) & (sizes[2:] > 0))[:, None]
    row, joint = np.nonzero(usable)
    # What is stiller than the first bin counts as it, what is wilder than the last as that.
    place = np.searchsorted(_BINS, change[row, joint] / sizes[row + 2]).clip(max=len(_BINS) - 1)
    joints = found.shape[1]
    return np.bincount(joint * len(_BINS) + place, minlength=joints * len(_BINS)).reshape(joints, len(_BINS))


def _sizes(keypoints: Floats, found: npt.NDArray[np.bool_], track: Counts, skeleton: Skeleton) -> Floats:
    """Return the body's size in each track, float32 (K,); 0 for one without any joint."""
    sizes = np.zeros(track.max(initial=-1) + 1)
    for one, other in skeleton.scale:
        apart = np.linalg.norm(keypoints[:, one].mean(1) - keypoints[:, other].mean(1), axis=-1)  # (R,)
        sizes = np.where(sizes > 0, sizes, _medians(apart, found[:, one + other].all(1), track, len(sizes)))
    count = found.sum(1).clip(min=1)[:, None]
    centre = keypoints.sum(1) / count  # (R, C)
    spread = np.sqrt((((keypoints - centre[:, None]) ** 2).sum(-1) * found).sum(1) / count[:, 0])
    return np.where(sizes > 0, sizes, _medians(spread, found.any(1), track, len(sizes))).astype(np.float32)


def _medians(values: Floats, usable: npt.NDArray[np.bool_], track: Counts, tracks: int) -> npt.NDArray[np.float64]:
    """Return the (lower) median of each track's usable values, float64 (K,); 0 where there is none."""
    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((values[rows], track[rows]))]
    counts = np.bincount(track[rows], minlength=tracks)
    middle = np.cumsum(counts) - counts + (counts - 1) // 2
    medians = np.zeros(tracks)
    medians[counts > 0] = values[rows[middle[counts > 0]]]
    return medians


def _quartiles(bins: Counts) -> npt.NDArray[np.float64]:
    """Return the quartiles of each joint's histogram, float64 (3, V); 0 in the first bin, NaN where nothing is."""
    reached = np.cumsum(bins, axis=1)  # (V, bins)
    total = reached[:, -1:]
    middles = np.concatenate([[0], np.sqrt(_BINS[1:] * _BINS[:-1])])
    quartiles = [middles[(reached < share * total).sum(1)] for share in (0.25, 0.5, 0.75)]
    return np.where(total[:, 0] > 0, quartiles, np.nan)
