"""Prototype-guided rectification at inference.

Shapes: N clips, K classes, D embedding width.
"""

import torch.nn.functional as F
from torch import Tensor


def rectify(logits: Tensor, embeddings: Tensor, prototypes: Tensor, weight: float) -> Tensor:
    """Return the logits plus the weighted cosine to each class's prototype, (N, K).

    A prototype of zeros, a class that was never seen, adds 0.

    Args:
        logits: (N, K).
        embeddings: (N, D).
        prototypes: (K, D).
        weight: 1 for pose and 5 for RGB in the published models; 0 is off.

    Source:
        PCAN (AAAI 2025), prototype-guided rectification.
    """
    return logits + weight * (F.normalize(embeddings, dim=1) @ F.normalize(prototypes, dim=1).T)
