"""Clips as a network takes them: batches for training and for scoring, whatever a clip is made of.

Shapes: N clips of the set, B clips of a batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

Inputs = tuple[Tensor, ...]
"""What an encoder is called with, each tensor's first axis the clips."""


class ClipSource(ABC):
    """Labelled clips on one device.

    Args:
        clip_ids: N names.
        labels: int64 (N,), -1 where unknown.
        device: Where labels and batches live.
        stream: What of the clips the network sees, such as ``joint+bone`` or ``rgb``.

    Attributes:
        scoring_size: Clips that are scored at once.
    """

    scoring_size = 256

    def __init__(self, clip_ids: Sequence[str], labels: Tensor, device: torch.device, stream: str) -> None:
        self.clip_ids = clip_ids
        self.labels = labels
        self.device = device
        self.stream = stream

    def __len__(self) -> int:
        return len(self.clip_ids)

    @abstractmethod
    def training_batches(self, batches: Sequence[Tensor], rows: slice, generator: torch.Generator) -> Iterator[Inputs]:
        """Yield the inputs of an epoch's batches, sampled and augmented at random.

        Args:
            batches: int64 (B,) each, the clips of each global batch.
            rows: Which clips of a global batch are this process's.
            generator: On the device; random numbers are drawn for the global batch, in the order of the batches.
        """

    @abstractmethod
    def scoring_batches(self, batches: Sequence[Tensor], copies: int) -> Iterator[Inputs]:
        """Yield, batch after batch, the inputs of a batch as it is, and then of each changed copy of it.

        Copy k of every clip has the same change, so that a clip's scores do not depend on the clips around it.

        Args:
            batches: int64 (B,) each.
            copies: Changed copies, at least 0.
        """
