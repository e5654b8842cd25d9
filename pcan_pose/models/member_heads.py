"""A hierarchical head for each member of a committee; at inference the members vote.

Shapes: N clips, F features of all members, K_b body parts, K_a actions, D embedding width of all members.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcan_pose.config import Vote
from pcan_pose.models.tree_head import Prediction, TreeHead


class MemberHeads(nn.Module):
    """Heads that each see the features of one member.

    The loss is the sum of the members' losses, so each member learns as if it were alone, but for `optim.clip_norm`,
    which limits the gradient of all members together; the other terms are the members' means. The prediction is the
    logarithm of the probabilities that the members vote for.

    Args:
        heads: One for each member.
        features: How many features each member has, in order; together F.
        vote: Whether the members' `probabilities` are averaged, or their `logits`, where a class that one member rules
            out cannot win.
    """

    def __init__(self, heads: Sequence[TreeHead], features: Sequence[int], vote: Vote = "probabilities") -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.config = heads[0].config
        self._features = list(features)
        self.vote: Vote = vote

    @property
    def prototypes(self) -> Tensor:
        """The members' action prototypes side by side, (K_a, D)."""
        return torch.cat([head.prototypes for head in self.members], dim=1)

    @property
    def seen(self) -> Tensor:
        """Whether every member's prototype of an action was ever updated, bool (K_a,)."""
        return torch.stack([head.seen for head in self.members]).all(0)

    def forward(self, features: Tensor) -> Prediction:
        """Return the vote of the members' rectified predictions, their embeddings side by side.

        Args:
            features: (N, F).
        """
        parts: list[Prediction] = [head(part) for head, part in self._shares(features)]
        return Prediction(
            _VOTES[self.vote]([part.action_logits for part in parts]),
            _VOTES[self.vote]([part.body_logits for part in parts]),
            torch.cat([part.embeddings for part in parts], dim=1),
        )

    def losses(
        self,
        features: Tensor,
        actions: Tensor,
        embedded: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return the members' loss terms; see `TreeHead.losses`.

        Args:
            features: (N, F), the global batch.
            actions: int64 (N,), its labels.
            embedded: (N, F), what the embeddings see instead, as published.
            generator: Of the dropout.
        """
        others = [None] * len(self.heads) if embedded is None else torch.split(embedded, self._features, dim=1)
        terms = [
            head.losses(part, actions, other, generator)
            for (head, part), other in zip(self._shares(features), others, strict=True)
        ]
        named = {name: torch.stack([term[name] for term in terms]) for name in terms[0]}
        return {name: each.sum() if name == "loss" else each.mean() for name, each in named.items()}

    def only(self, members: Sequence[int]) -> "MemberHeads":
        """Return the heads of some members, counted from 0, and not copies of them."""
        return MemberHeads([self.members[k] for k in members], [self._features[k] for k in members], self.vote)

    @property
    def members(self) -> list[TreeHead]:
        """The heads, in order."""
        return [head for head in self.heads if isinstance(head, TreeHead)]

    def _shares(self, features: Tensor) -> list[tuple[TreeHead, Tensor]]:
        return list(zip(self.members, torch.split(features, self._features, dim=1), strict=True))


def mean_probability(logits: list[Tensor]) -> Tensor:
    """Return the logarithm of the mean probability, (N, K)."""
    return torch.stack([part.log_softmax(1) for part in logits]).logsumexp(0) - math.log(len(logits))


def _mean_logit(logits: list[Tensor]) -> Tensor:
    """Return the logarithm of the probabilities of the mean logits, (N, K)."""
    return torch.stack(logits).mean(0).log_softmax(1)


_VOTES = {"probabilities": mean_probability, "logits": _mean_logit}
