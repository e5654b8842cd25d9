"""The hierarchical head: classifiers of both levels, the action tree's loss, prototypes, calibration and rectification.

Shapes: N clips, F pooled features, K_b body parts, K_a actions, D embedding width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.config import HeadConfig
from pcan_pose.losses import diversity_loss, tree_loss
from pcan_pose.models.calibration import AmbiguousSet, action_sets, body_sets, calibration_loss
from pcan_pose.models.prototypes import PrototypeBank
from pcan_pose.models.rectification import rectify
from pcan_pose.taxonomy import Taxonomy


@dataclass(frozen=True)
class Prediction:
    """What the head says of a batch.

    Args:
        action_logits: float32 (N, K_a), rectified at inference.
        body_logits: float32 (N, K_b).
        embeddings: float32 (N, D), in the space of the action prototypes.
    """

    action_logits: Tensor
    body_logits: Tensor
    embeddings: Tensor


class TreeHead(nn.Module):
    """Two linear classifiers and two embeddings over one pooled feature, for any two-level action tree.

    Everything is computed in float32. In training the whole global batch must be given, all processes together, so that
    prototypes and ambiguous sets are the same as in a single process.

    Args:
        features: F.
        taxonomy: The action tree.
        config: Switches and weights.

    Source:
        PCAN (AAAI 2025). Deviations in corrected mode are the switches of `HeadConfig`.
    """

    parents: Tensor

    def __init__(self, features: int, taxonomy: Taxonomy, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("parents", torch.from_numpy(taxonomy.parent_array), persistent=False)  # (K_a,)
        self.action_classifier = nn.Linear(features, taxonomy.num_actions)
        self.body_classifier = nn.Linear(features, taxonomy.num_body_parts)
        self.action_embedding = nn.Linear(features, config.action_embedding)
        self.body_embedding = nn.Linear(features, config.body_embedding)
        # DistributedDataParallel waits for the gradient of every weight that requires one; untrained ones must not.
        calibrates = config.calibration.enabled
        spreads = config.diversity_weight > 0 and config.diversity == "differentiable"
        self.action_embedding.requires_grad_(calibrates or spreads)
        self.body_embedding.requires_grad_(calibrates)
        self.body_classifier.requires_grad_(config.body_weight > 0 or config.tree_weight > 0)
        bank = {"momentum": config.momentum, "unseen": config.unseen_prototypes}
        self.action_bank = PrototypeBank(taxonomy.num_actions, config.action_embedding, **bank)  # type: ignore[arg-type]
        self.body_bank = PrototypeBank(taxonomy.num_body_parts, config.body_embedding, **bank)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Prediction:
        """Return the rectified prediction.

        Args:
            features: (N, F).
        """
        features = features.float()
        embeddings = self.action_embedding(features)  # (N, D)
        action_logits = self.action_classifier(features)  # (N, K_a)
        if self.config.rectification:
            action_logits = rectify(action_logits, embeddings, self.action_bank.prototypes, self.config.rectification)
        return Prediction(action_logits, self._body_logits(features, action_logits), embeddings)

    def _body_logits(self, features: Tensor, action_logits: Tensor) -> Tensor:
        """Return the logits of the body parts, (N, K_b).

        Without a loss of its own the body classifier is not trained; the actions' probabilities, summed over each
        body part, are then its prediction.
        """
        if self.config.body_weight or self.config.tree_weight:
            body_logits: Tensor = self.body_classifier(features)
            return body_logits
        children = F.one_hot(self.parents).to(action_logits.dtype)  # (K_a, K_b)
        return (action_logits.softmax(1) @ children).clamp(min=torch.finfo(action_logits.dtype).tiny).log()

    def losses(self, features: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """Return the named loss terms, unweighted, and their weighted sum as ``loss``; updates the prototypes.

        Terms whose weight is 0 are not computed.

        Args:
            features: (N, F), the global batch.
            actions: int64 (N,), its labels.
        """
        config = self.config
        features = F.dropout(features.float(), config.dropout, self.training)
        body = self.parents[actions]  # (N,)
        action_logits = self.action_classifier(features)  # (N, K_a)
        body_logits = self._body_logits(features, action_logits)  # (N, K_b)
        terms = {"action": (1.0, F.cross_entropy(action_logits, actions, label_smoothing=config.label_smoothing))}
        if config.body_weight:
            cross_entropy = F.cross_entropy(body_logits, body, label_smoothing=config.label_smoothing)
            terms["body"] = (config.body_weight, cross_entropy)
        if config.tree_weight:
            terms["tree"] = (config.tree_weight, tree_loss(body_logits, action_logits, actions, self.parents).mean())
        if config.calibration.enabled or config.diversity_weight or config.rectification:
            terms |= self._prototype_losses(features, action_logits, body_logits, actions, body)
        named = {name: term for name, (_, term) in terms.items()}
        return {"loss": torch.stack([weight * term for weight, term in terms.values()]).sum(), **named}

    def _prototype_losses(
        self, features: Tensor, action_logits: Tensor, body_logits: Tensor, actions: Tensor, body: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        config, calibration = self.config, self.config.calibration
        action_embeddings, body_embeddings = self.action_embedding(features), self.body_embedding(features)  # (N, D)
        body_right = body_logits.argmax(1) == body
        both_right = body_right & (action_logits.argmax(1) == actions)
        action_prototypes = self.action_bank.update(action_embeddings, actions, both_right)  # (K_a, D)
        body_prototypes = self.body_bank.update(body_embeddings, body, body_right)  # (K_b, D)
        terms: dict[str, tuple[float, Tensor]] = {}
        if calibration.enabled:

            def calibrate(
                embeddings: Tensor, prototypes: Tensor, logits: Tensor, labels: Tensor, sets: list[AmbiguousSet]
            ) -> Tensor:
                return calibration_loss(
                    embeddings,
                    prototypes,
                    logits,
                    labels,
                    sets,
                    alpha=calibration.alpha,
                    temperature=calibration.temperature,
                    weight_losses=calibration.weighting == "losses",
                    only_ambiguous=calibration.clips == "ambiguous",
                    detach_probability=calibration.detach_probability,
                )

            ambiguous = action_sets(
                body_logits,
                action_logits,
                body,
                actions,
                calibration.false_negative_weights,
                calibration.false_positive_weight,
            )
            action_loss = calibrate(action_embeddings, action_prototypes, action_logits, actions, ambiguous)
            body_loss = calibrate(body_embeddings, body_prototypes, body_logits, body, body_sets(body_logits, body))
            terms["action_calibration"] = (calibration.weight, action_loss)
            terms["body_calibration"] = (calibration.weight, body_loss)
        if config.diversity_weight:
            if config.diversity == "differentiable":
                diversity = diversity_loss(action_prototypes, self.action_bank.seen > 0)
            else:
                diversity = diversity_loss(action_prototypes.detach())
            terms["diversity"] = (config.diversity_weight, diversity)
        return terms
