"""A bank of one prototype a class, moved towards the embeddings of correctly recognised clips.

Shapes: N clips, K classes, D embedding width.
"""

from typing import Literal

import torch
from torch import Tensor, nn


class PrototypeBank(nn.Module):
    """Prototypes as state, not parameters: P_k <- m P_k + (1 - m) mean(z of class k's true positives).

    Args:
        classes: K.
        width: D.
        momentum: m, in [0, 1).
        unseen: Start of a prototype: zeros, so that a class that was never seen has similarity 0, or the published
            random normal numbers.

    Source:
        PCAN (AAAI 2025); FR-Head (CVPR 2023). They keep body-level prototypes out of the checkpoint; here both are
        buffers.
    """

    prototypes: Tensor
    seen: Tensor

    def __init__(
        self, classes: int, width: int, *, momentum: float = 0.9, unseen: Literal["zero", "random"] = "zero"
    ) -> None:
        super().__init__()
        self.momentum = momentum
        start = torch.randn(classes, width) if unseen == "random" else torch.zeros(classes, width)
        self.register_buffer("prototypes", start)  # (K, D)
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.int64))  # true positives so far, (K,)

    def update(self, embeddings: Tensor, labels: Tensor, correct: Tensor) -> Tensor:
        """Return the updated prototypes, differentiable with respect to the embeddings, (K, D); store them detached.

        Args:
            embeddings: (N, D) of the whole batch, all processes together.
            labels: int64 (N,).
            correct: bool (N,), the true positives.
        """
        members = class_members(labels, correct, len(self.prototypes), embeddings.dtype)  # (K, N)
        counts = members.sum(1)  # (K,)
        means = members @ embeddings / counts.clamp(min=1)[:, None]  # (K, D)
        old = self.prototypes.to(embeddings.dtype)
        moved = self.momentum * old + (1 - self.momentum) * means
        updated = torch.where((counts > 0)[:, None], moved, old)
        self.prototypes.copy_(updated.detach())
        self.seen += counts.detach().to(self.seen.dtype)
        return updated


def class_members(columns: Tensor, chosen: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return the indicator of each class's chosen clips, (K, N), zeros and ones.

    Args:
        columns: int64 (N,), the class that each clip counts for.
        chosen: bool (N,), whether it counts.
        classes: K.
        dtype: Of the result.
    """
    return ((torch.arange(classes, device=columns.device)[:, None] == columns) & chosen).to(dtype)
