"""The hierarchical head: classifiers of both levels, the action tree's loss, prototypes, calibration and rectification.

Shapes: N clips, F pooled features, K_b body parts, K_a actions, D embedding width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcan_pose.config import HeadConfig
from pcan_pose.errors import ConfigError
from pcan_pose.losses import at_least_float32, diversity_loss, log_prior, tree_loss
from pcan_pose.models.calibration import AmbiguousSet, action_sets, body_sets, calibration_loss
from pcan_pose.models.prototypes import PrototypeBank
from pcan_pose.models.rectification import rectify
from pcan_pose.taxonomy import Taxonomy


@dataclass(frozen=True)
class Prediction:
    """What the head says of a batch.

    Args:
        action_logits: (N, K_a), rectified at inference.
        body_logits: (N, K_b).
        embeddings: (N, D), in the space of the action prototypes.
    """

    action_logits: Tensor
    body_logits: Tensor
    embeddings: Tensor


class TreeHead(nn.Module):
    """Two linear classifiers and two embeddings over one pooled feature, for any two-level action tree.

    Everything is computed in float32, or in float64 if features and weights are. In training the whole global batch
    must be given, all processes together, so that prototypes and ambiguous sets are the same as in a single process.

    Args:
        features: F.
        taxonomy: The action tree.
        config: Switches and weights.
        action_counts: int64 (K_a,), the training split's clips of each action; only the losses with logit adjustment
            need them, so they are no part of the state.

    Source:
        PCAN (AAAI 2025). Deviations in corrected mode are the switches of `HeadConfig`.
    """

    parents: Tensor
    log_prior: Tensor | None

    def __init__(
        self, features: int, taxonomy: Taxonomy, config: HeadConfig, action_counts: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("parents", torch.from_numpy(taxonomy.parent_array), persistent=False)  # (K_a,)
        prior = log_prior(action_counts) if config.logit_adjustment and action_counts is not None else None
        self.register_buffer("log_prior", prior, persistent=False)  # (K_a,)
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

    @property
    def prototypes(self) -> Tensor:
        """The action prototypes, (K_a, D)."""
        return self.action_bank.prototypes

    @property
    def seen(self) -> Tensor:
        """Whether an action's prototype was ever updated, bool (K_a,)."""
        return self.action_bank.seen > 0

    def forward(self, features: Tensor) -> Prediction:
        """Return the rectified prediction.

        Args:
            features: (N, F).
        """
        features = at_least_float32(features)
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
        parts = torch.arange(self.body_classifier.out_features, device=self.parents.device)
        children = (self.parents[:, None] == parts).to(action_logits.dtype)  # (K_a, K_b)
        return (action_logits.softmax(1) @ children).clamp(min=torch.finfo(action_logits.dtype).tiny).log()

    def losses(
        self,
        features: Tensor,
        actions: Tensor,
        embedded: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return the named loss terms, unweighted, and their weighted sum as ``loss``; updates the prototypes.

        Terms whose weight is 0 are not computed; the calibration's are as long as it is enabled, as it also moves the
        prototypes.

        Args:
            features: (N, F), the global batch.
            actions: int64 (N,), its labels.
            embedded: (N, F), what the embeddings see instead, as published: another pooling, and no dropout.
            generator: Of the dropout, on the features' device and in one state in all processes; None takes torch's.

        Raises:
            ConfigError: If logits are to be adjusted and the head does not know the actions' counts.
        """
        config = self.config
        features = self._dropped(at_least_float32(features), generator)
        embedded = features if embedded is None else at_least_float32(embedded)
        body = self.parents[actions]  # (N,)
        action_logits = self.action_classifier(features)  # (N, K_a)
        body_logits = self._body_logits(features, action_logits)  # (N, K_b)
        adjusted = self._adjusted(action_logits)  # (N, K_a)
        terms = {"action": (1.0, F.cross_entropy(adjusted, actions, label_smoothing=config.label_smoothing))}
        if config.body_weight:
            cross_entropy = F.cross_entropy(body_logits, body, label_smoothing=config.label_smoothing)
            terms["body"] = (config.body_weight, cross_entropy)
        if config.tree_weight:
            terms["tree"] = (config.tree_weight, tree_loss(body_logits, action_logits, actions, self.parents).mean())
        if config.calibration.enabled or config.diversity_weight or config.rectification:
            terms |= self._prototype_losses(embedded, action_logits, body_logits, actions, body)
        named = {name: term for name, (_, term) in terms.items()}
        return {"loss": torch.stack([weight * term for weight, term in terms.values()]).sum(), **named}

    def _dropped(self, features: Tensor, generator: torch.Generator | None) -> Tensor:
        share = self.config.dropout
        if not (share and self.training):
            return features
        kept = torch.rand(features.shape, generator=generator, device=features.device) >= share
        return features * kept / (1 - share)

    def _adjusted(self, action_logits: Tensor) -> Tensor:
        """Return the logits that the actions' cross-entropy takes, (N, K_a).

        With the prior added here, the classifier need not learn it: at inference, where it is not added, rare actions
        are judged as if they were as frequent as the others.

        Source:
            Menon et al., Long-tail learning via logit adjustment, ICLR 2021.
        """
        if not self.config.logit_adjustment:
            return action_logits
        if self.log_prior is None:
            raise ConfigError(
                f"head.logit_adjustment is {self.config.logit_adjustment}, but the head was built without the training "
                "split's clips of each action; give build_recognizer action_counts, or set it to 0."
            )
        return action_logits + self.config.logit_adjustment * self.log_prior

    def _prototype_losses(
        self, embedded: Tensor, action_logits: Tensor, body_logits: Tensor, actions: Tensor, body: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        config, calibration = self.config, self.config.calibration
        action_embeddings, body_embeddings = self.action_embedding(embedded), self.body_embedding(embedded)  # (N, D)
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
