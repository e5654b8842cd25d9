"""Losses as pure functions.

Shapes: N clips, K_b body parts, K_a actions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return the tensor itself, or in float32 if its numbers are shorter."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def log_prior(counts: Tensor) -> Tensor:
    """Return the logarithm of each class's share of the clips, float32 (K,).

    A class without clips counts as one clip: its share would be 0, and its logit minus infinity.

    Args:
        counts: int64 (K,), clips of each class.
    """
    known = counts.clamp(min=1)
    return (known / known.sum()).log()


def tree_loss(body_logits: Tensor, action_logits: Tensor, actions: Tensor, parents: Tensor) -> Tensor:
    """Return the action tree's loss of each clip, (N,): a cross-entropy over the tree's legal states.

    A state is a body part alone, or an action with its body part; with p the sigmoid of the logits its score is the
    sum of p over its nodes. The loss is bounded away from 0: perfect logits leave log of the sum over all other states.

    Args:
        body_logits: (N, K_b).
        action_logits: (N, K_a).
        actions: int64 (N,), the labels.
        parents: int64 (K_a,), the body part of each action.

    Source:
        PCAN (AAAI 2025), hierarchical probability alignment, after HRN's tree loss.
    """
    body, action = at_least_float32(body_logits).sigmoid(), at_least_float32(action_logits).sigmoid()
    states = torch.cat([body, action + body[:, parents]], dim=1)  # (N, K_b + K_a)
    return F.cross_entropy(states, actions + body.shape[1], reduction="none")


def diversity_loss(prototypes: Tensor, seen: Tensor | None = None) -> Tensor:
    """Return how alike the prototypes are: the Frobenius norm of their cosine matrix.

    Args:
        prototypes: (K, D).
        seen: bool (K,); given, only seen prototypes count and the diagonal, a constant, is left out.

    Source:
        PCAN (AAAI 2025), prototypical diversity amplification; the published form has the diagonal in.
    """
    unit = F.normalize(prototypes, dim=1)
    cosines = unit @ unit.T  # (K, K)
    if seen is None:
        return torch.linalg.matrix_norm(cosines)
    pairs = seen[:, None] & seen[None, :] & ~torch.eye(len(seen), dtype=torch.bool, device=seen.device)
    # The norm's slope is infinite at 0, where prototypes are perfectly diverse.
    return (cosines.square() * pairs).sum().clamp(min=1e-12).sqrt()
