"""Nearest training clips at inference: what the clips were that a network finds most alike.

Prototypes say what the mean clip of an action looks like; rare ways to carry it out lie far from it. The training clips
themselves have them all.

Shapes: N clips, R training clips, F features of all members, P neighbours, K_a actions, K_b body parts.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.models.tree_head import Prediction

TEMPERATURE = 0.02
"""Of the softmax over the neighbours' cosines; how near they lie differs little, so it is small."""


_NEVER = -2.0
"""Less than any cosine: of a clip that must not be asked."""


class Neighbours(nn.Module):
    """Mixes the actions of the nearest training clips into predictions.

    Clips are compared by the cosine of their pooled features less the training clips' mean; of a network of several
    members by the mean of the members' cosines. The nearest vote with the softmax of their cosines.

    Args:
        features: (R, F), pooled features of the training clips.
        actions: int64 (R,), their labels.
        parents: int64 (K_a,), the body part of each action.
        widths: Features of each member, together F.
        count: P, at least 1; all training clips if there are fewer.
        weight: The neighbours' share of the probability, in (0, 1); the network has the rest.

    Source:
        A cache of the training set's features is what Tip-Adapter (Zhang et al., ECCV 2022) adds to a classifier; this
        one keeps the nearest alone and mixes probabilities, not logits.
    """

    def __init__(
        self,
        features: Tensor,
        actions: Tensor,
        parents: Tensor,
        *,
        widths: Sequence[int],
        count: int = 10,
        weight: float = 0.5,
    ) -> None:
        super().__init__()
        self._widths = list(widths)
        self._count = min(count, len(actions))
        self._weight = weight
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("directions", self._directions(features))
        self.register_buffer("actions", actions)
        self.register_buffer("parents", parents)

    def forward(self, features: Tensor, prediction: Prediction, own: Tensor | None = None) -> Prediction:
        """Return the prediction with the neighbours' share in it, as logarithms of probabilities.

        Args:
            features: (N, F).
            prediction: Of the same clips.
            own: int64 (N,), which training clip each clip is itself and must not ask, -1 for none; None for none.
        """
        cosines = self._directions(features) @ self.get_buffer("directions").T  # (N, R)
        if own is not None:
            itself = torch.arange(cosines.shape[1], device=own.device) == own[:, None]  # (N, R)
            cosines = cosines.masked_fill(itself, _NEVER)
        near, places = cosines.topk(self._count, dim=1)  # (N, P)
        shares = (near / TEMPERATURE).softmax(1) * (near > _NEVER)  # (N, P)
        actions = self.get_buffer("actions")[places]  # (N, P)
        bodies = self.get_buffer("parents")[actions]  # (N, P)
        return Prediction(
            self._mixed(prediction.action_logits, actions, shares),
            self._mixed(prediction.body_logits, bodies, shares),
            prediction.embeddings,
        )

    def _directions(self, features: Tensor) -> Tensor:
        """Return vectors (N, F) whose products are the mean of the members' cosines."""
        parts = torch.split(features - self.get_buffer("mean"), self._widths, dim=1)
        return torch.cat([F.normalize(part, dim=1) for part in parts], dim=1) / math.sqrt(len(parts))

    def _mixed(self, logits: Tensor, classes: Tensor, shares: Tensor) -> Tensor:
        said = torch.zeros_like(logits).scatter_add_(1, classes, shares.to(logits.dtype))  # (N, K)
        return torch.logaddexp(logits.log_softmax(1) + math.log(1 - self._weight), (self._weight * said).log())
