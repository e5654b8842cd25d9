"""Further splits: cross-subject ones, where nobody is in two of them, and long-tailed copies of a split.

Shapes: S splits, P subjects, K label columns (the actions, the unlabelled clips and the number of clips); for a long
tail K actions of the split.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError, first_names
from pcan_pose.keypoints import KeypointSet

_ATTEMPTS = 64


def split_by_subject(
    keypoint_set: KeypointSet,
    fractions: Mapping[str, float],
    *,
    among: Sequence[str] = (),
    seed: int = 0,
    prefix: str = "xsub_",
) -> KeypointSet:
    """Return the set with further splits, each with other subjects.

    Whole subjects are dealt out one after another, each to the split that it brings nearest to its share of the clips
    and of every action; the best of several random orders is taken. Equal seeds give equal splits. The splits that the
    set has already are kept.

    Args:
        keypoint_set: The set; every clip that is dealt out must name its subject.
        fractions: Share of each split in the clips, positive, together 1.
        among: Splits whose clips are dealt out, such as those with known subjects; all clips by default.
        seed: Seed of the random orders.
        prefix: What the new splits' names begin with.

    Raises:
        DataError: If the shares are not positive or not 1 together, clips have no subject, there are fewer subjects
            than splits, or the set has a split of such a name already; all of these at once. Also if there is no split
            to deal out.
    """
    names = [prefix + name for name in fractions]
    shares = list(fractions.values())
    dealt = np.arange(len(keypoint_set))
    if among:
        dealt = np.unique(np.concatenate([keypoint_set.in_split(name) for name in among]))
    part = keypoint_set.select(dealt)
    subjects, member = np.unique([subject or "" for subject in part.subjects], return_inverse=True)
    taken = sorted({*names} & {*keypoint_set.split_names()})
    if faults := _faults(part, shares, names, [name for name in subjects.tolist() if name], taken):
        raise DataError(*faults)
    counts = _label_counts(part, member.reshape(-1), len(subjects))
    random = np.random.default_rng(seed)
    attempts = [_deal(counts, np.array(shares), random.permutation(len(subjects))) for _ in range(_ATTEMPTS)]
    _, split_of = min(attempts, key=lambda attempt: attempt[0])
    splits = list(keypoint_set.splits)
    for place, number in zip(dealt.tolist(), split_of[member.reshape(-1)].tolist(), strict=True):
        splits[place] = (*splits[place], names[number])
    return keypoint_set.with_splits(splits)


def long_tail(
    keypoint_set: KeypointSet, split: str, ratio: float, *, seed: int = 0, prefix: str = "long_tail_"
) -> KeypointSet:
    """Return the set with one more split: a copy of one of its own, thinned out to a long tail of actions.

    The K actions of the split are ranked at random. The action of rank k keeps n * ratio^(-k / (K - 1)) clips, rounded
    and at least one, n being the split's most frequent action; an action that has fewer keeps what it has. Equal seeds
    give equal splits, and equal ranks to all splits of the same actions. The splits that the set has already are kept.

    Args:
        keypoint_set: The set; every clip of the split must have a label.
        split: The split to copy.
        ratio: How many times rarer the last action is than the first, at least 1.
        seed: Seed of the ranks and of the clips that stay.
        prefix: What stands before the split's name in the new one's.

    Raises:
        DataError: If the set has no such split or has the new one already, the ratio is below 1, or clips have no
            label; the last three at once.
    """
    members = keypoint_set.in_split(split)
    labels = keypoint_set.labels[members]
    name = prefix + split
    faults = []
    if not (math.isfinite(ratio) and ratio >= 1):
        faults.append(f"ratio {ratio:g}: expected a finite number of 1 or more.")
    if nothing := [keypoint_set.clip_ids[i] for i in members[labels < 0].tolist()]:
        faults.append(
            f"{len(nothing)} clips of split {split!r} have no label ({first_names(nothing)}); label them or "
            "take them out."
        )
    if name in keypoint_set.split_names():
        faults.append(f"the set has a split {name!r} already; choose another prefix with --prefix.")
    if faults:
        raise DataError(*faults)
    actions, counts = np.unique(labels, return_counts=True)  # (K,)
    random = np.random.default_rng(seed)
    ranks = random.permutation(len(actions))  # (K,)
    sizes = counts.max() * float(ratio) ** (-ranks / max(len(actions) - 1, 1))  # (K,)
    kept: set[int] = set()
    for action, size in zip(actions.tolist(), np.rint(sizes).astype(int).tolist(), strict=True):
        # By name, so that the clips' order in the file decides nothing.
        own = sorted(members[labels == action].tolist(), key=lambda i: keypoint_set.clip_ids[i])
        kept.update(own[i] for i in random.permutation(len(own))[: max(size, 1)].tolist())
    return keypoint_set.with_splits(
        [(*splits, name) if i in kept else splits for i, splits in enumerate(keypoint_set.splits)]
    )


def _faults(
    keypoint_set: KeypointSet, shares: list[float], names: list[str], subjects: list[str], taken: list[str]
) -> list[str]:
    faults = []
    if not shares or min(shares) <= 0 or not np.isclose(sum(shares), 1):
        faults.append(f"fractions {', '.join(map(str, shares))}: expected positive numbers that are 1 together.")
    nobody = [name for name, subject in zip(keypoint_set.clip_ids, keypoint_set.subjects, strict=True) if not subject]
    if nobody:
        faults.append(
            f"{len(nobody)} clips name no subject ({first_names(nobody)}); import them with --subject-from-name, if "
            "it is there, or name the splits to deal out with --split."
        )
    elif len(subjects) < len(names):
        faults.append(f"{len(names)} splits need as many subjects, the set has {len(subjects)}.")
    faults += [f"the set has a split {name!r} already; choose another prefix with --prefix." for name in taken]
    return faults


def _label_counts(keypoint_set: KeypointSet, member: npt.NDArray[np.int64], subjects: int) -> npt.NDArray[np.float64]:
    """Return how many clips of each label each subject has, and how many in all, float64 (P, K)."""
    _, labels = np.unique(keypoint_set.labels, return_inverse=True)
    labels = labels.reshape(-1)
    width = int(labels.max(initial=0)) + 1
    counts = np.bincount(member * width + labels, minlength=subjects * width).reshape(subjects, width)
    return np.concatenate([counts, counts.sum(1, keepdims=True)], axis=1).astype(float)


def _deal(
    counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], order: npt.NDArray[np.int64]
) -> tuple[float, npt.NDArray[np.int64]]:
    """Return how far the splits are from their shares (chi-square), and the split of each subject, int64 (P,)."""
    target = shares[:, None] * counts.sum(0)  # (S, K)
    have = np.zeros_like(target)
    split_of = np.zeros(len(counts), np.int64)
    sizes = np.zeros(len(shares), np.int64)
    for place, subject in enumerate(order.tolist()):
        gain = counts[subject]
        # Change of the squared distance from the target when this subject joins each split.
        cost = (gain * (2 * (have - target) + gain) / target.clip(min=1e-9)).sum(1)  # (S,)
        if len(order) - place <= (sizes == 0).sum():
            cost[sizes > 0] = np.inf  # as many subjects left as splits without any
        chosen = int(cost.argmin())
        split_of[subject] = chosen
        have[chosen] += gain
        sizes[chosen] += 1
    return float(((have - target) ** 2 / target.clip(min=1e-9)).sum()), split_of
