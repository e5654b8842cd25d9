"""Calibration of ambiguous clips against the prototypes.

Shapes: N clips, K classes, D embedding width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pcan_pose.models.prototypes import class_members


@dataclass(frozen=True)
class AmbiguousSet:
    """One set of ambiguous clips.

    Args:
        clips: bool (N,), the clips of the set.
        columns: int64 (N,), the class that each counts for: its label, or the wrongly claimed class.
        weight: The set's weight.
        pull: Whether its clips are pulled towards the label (missed) or the label pushed from them (wrongly claimed).
    """

    clips: Tensor
    columns: Tensor
    weight: float
    pull: bool


def action_sets(
    body_logits: Tensor,
    action_logits: Tensor,
    body: Tensor,
    action: Tensor,
    false_negative_weights: Sequence[float],
    false_positive_weight: float,
) -> list[AmbiguousSet]:
    """Return FN1, FN2, FN3 and FP at the action level, found on the action tree.

    Args:
        body_logits: (N, K_b).
        action_logits: (N, K_a).
        body: int64 (N,), true body parts.
        action: int64 (N,), true actions.
        false_negative_weights: Weights of FN1 (action wrong), FN2 (body part wrong), FN3 (both wrong).
        false_positive_weight: Weight of FP.
    """
    claimed = action_logits.argmax(1)
    body_right, action_right = body_logits.argmax(1) == body, claimed == action
    missed = (body_right & ~action_right, ~body_right & action_right, ~body_right & ~action_right)
    sets = [
        AmbiguousSet(clips, action, weight, True) for clips, weight in zip(missed, false_negative_weights, strict=True)
    ]
    return [*sets, AmbiguousSet(~action_right, claimed, false_positive_weight, False)]


def body_sets(body_logits: Tensor, body: Tensor) -> list[AmbiguousSet]:
    """Return FN and FP at the body level."""
    claimed = body_logits.argmax(1)
    wrong = claimed != body
    return [AmbiguousSet(wrong, body, 1.0, True), AmbiguousSet(wrong, claimed, 1.0, False)]


def calibration_loss(
    embeddings: Tensor,
    prototypes: Tensor,
    logits: Tensor,
    labels: Tensor,
    sets: Sequence[AmbiguousSet],
    *,
    alpha: float = 0.125,
    temperature: float = 0.125,
    weight_losses: bool = True,
    only_ambiguous: bool = True,
    detach_probability: bool = True,
) -> Tensor:
    """Return the ambiguous contrastive loss of one level, a scalar.

    For each set X, with s_nk = cos(z_n, P_k) and mu_k the sum of the set's embeddings of class k, the label's
    similarity is moved by alpha (1 - p_ny) (+-cos(z_n, mu_y) - 1), where the class has a member in the set, and a
    cross-entropy over the classes is taken.

    Args:
        embeddings: z, (N, D).
        prototypes: P, (K, D), already updated with this batch.
        logits: (N, K) of the level's classifier.
        labels: int64 (N,).
        sets: Ambiguous sets.
        alpha: Strength of the move.
        temperature: Of the cross-entropy.
        weight_losses: Whether a set's weight multiplies its loss; otherwise its logits, as published.
        only_ambiguous: Whether a set's loss is the mean over the clips that it moves: the missed clips themselves, and
            every clip of a class that others were wrongly claimed for. Otherwise over all clips, as published.
        detach_probability: Whether p_ny is a constant; otherwise its gradient reaches the classifier, as published.

    Source:
        PCAN (AAAI 2025), ambiguous contrastive refinement, after FR-Head (CVPR 2023).
    """
    unit = F.normalize(embeddings, dim=1)
    similarity = unit @ F.normalize(prototypes, dim=1).T  # (N, K)
    probability = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)  # (N,)
    if detach_probability:
        probability = probability.detach()
    strength = alpha * (1 - probability)  # (N,)
    # Not one_hot, which looks at the labels' range and so makes the host wait for them.
    label = (labels[:, None] == torch.arange(similarity.shape[1], device=labels.device)).to(similarity.dtype)  # (N, K)
    total = similarity.new_zeros(())
    for chosen in sets:
        members = class_members(chosen.columns, chosen.clips, similarity.shape[1], embeddings.dtype)  # (K, N)
        compensation = (unit * F.normalize(members @ embeddings, dim=1)[labels]).sum(1)  # cos(z_n, mu_y), (N,)
        move = (compensation if chosen.pull else -compensation) - 1
        has_member = members.sum(1).gt(0)[labels]  # (N,)
        moved = strength * move * has_member  # (N,)
        scale = 1.0 if weight_losses else chosen.weight
        losses = F.cross_entropy(scale * (similarity + label * moved[:, None]) / temperature, labels, reduction="none")
        moves = chosen.clips if chosen.pull else has_member  # (N,)
        among = moves if only_ambiguous else torch.ones_like(moves)  # (N,)
        mean = (losses * among).sum() / among.sum().clamp(min=1)
        total = total + (chosen.weight if weight_losses else 1.0) * mean
    return total
