"""Which clips a run was trained on, as short numbers that a checkpoint can hold."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from pcan_pose.errors import CheckpointError


def clip_keys(clip_ids: Sequence[str]) -> Tensor:
    """Return a number for each name, int64 (N,), the same on every machine: 64 bits of a hash."""
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in clip_ids]
    return torch.tensor([int.from_bytes(digest, signed=True) for digest in digests], dtype=torch.int64)


def check_same_clips(before: Tensor, now: Tensor) -> None:
    """Compare the training clips that a run began with and those that it finds now, in order.

    Raises:
        CheckpointError: If they differ; schedule and order of the clips would be another run's.
    """
    if torch.equal(before, now):
        return
    shared = int(torch.isin(now, before).sum())
    raise CheckpointError(
        f"the run was begun with {len(before):,} training clips and finds {len(now):,} now, {shared:,} of which it "
        "knows" + (", in another order" if shared == len(before) == len(now) else "") + "; a resumed run keeps its "
        "clips: give it the set that it began with, or start a new run with --set name=..."
    )
