"""Cross-subject splits: nobody is in two of them.

Shapes: S splits, P subjects, K label columns (the actions, the unlabelled clips and the number of clips).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet

_ATTEMPTS = 64


def split_by_subject(
    keypoint_set: KeypointSet, fractions: Mapping[str, float], *, seed: int = 0, prefix: str = "xsub_"
) -> KeypointSet:
    """Return the set with further splits, each with other subjects.

    Whole subjects are dealt out one after another, each to the split that it brings nearest to its share of the clips
    and of every action; the best of several random orders is taken. Equal seeds give equal splits. The splits that the
    set has already are kept.

    Args:
        keypoint_set: The set; every clip must name its subject.
        fractions: Share of each split in the clips, positive, together 1.
        seed: Seed of the random orders.
        prefix: What the new splits' names begin with.

    Raises:
        DataError: If the shares are not positive or not 1 together, clips have no subject, there are fewer subjects
            than splits, or the set has a split of such a name already; all of these at once.
    """
    names = [prefix + name for name in fractions]
    shares = list(fractions.values())
    subjects, member = np.unique([subject or "" for subject in keypoint_set.subjects], return_inverse=True)
    if faults := _faults(keypoint_set, shares, names, [name for name in subjects.tolist() if name]):
        raise DataError(*faults)
    counts = _label_counts(keypoint_set, member.reshape(-1), len(subjects))
    random = np.random.default_rng(seed)
    attempts = [_deal(counts, np.array(shares), random.permutation(len(subjects))) for _ in range(_ATTEMPTS)]
    _, split_of = min(attempts, key=lambda attempt: attempt[0])
    return keypoint_set.with_splits(
        [
            (*splits, names[number])
            for splits, number in zip(keypoint_set.splits, split_of[member.reshape(-1)].tolist(), strict=True)
        ]
    )


def _faults(keypoint_set: KeypointSet, shares: list[float], names: list[str], subjects: list[str]) -> list[str]:
    faults = []
    if not shares or min(shares) <= 0 or not np.isclose(sum(shares), 1):
        faults.append(f"fractions {', '.join(map(str, shares))}: expected positive numbers that are 1 together.")
    nobody = [name for name, subject in zip(keypoint_set.clip_ids, keypoint_set.subjects, strict=True) if not subject]
    if nobody:
        some = ", ".join(nobody[:5])
        faults.append(
            f"{len(nobody)} clips name no subject ({some}); import them with --subject-from-name, if it is there."
        )
    elif len(subjects) < len(names):
        faults.append(f"{len(names)} splits need as many subjects, the set has {len(subjects)}.")
    taken = [name for name in names if name in keypoint_set.split_names()]
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
