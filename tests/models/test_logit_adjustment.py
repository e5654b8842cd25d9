"""Logit adjustment: the actions' frequencies in the head's cross-entropy."""

import math

import pytest
import torch
from small_heads import TERMS, TREE, batch, make

from pcan_pose.config import HeadConfig
from pcan_pose.errors import ConfigError
from pcan_pose.models.tree_head import TreeHead

COUNTS = torch.tensor([40, 3, 0, 17, 1])


@pytest.mark.parametrize(("tau", "smoothing"), [(1.0, 0.0), (0.5, 0.0), (2.0, 0.1)])
def test_logit_adjustment_equals_the_formula_clip_by_clip(tau: float, smoothing: float) -> None:
    config = HeadConfig(action_embedding=6, body_embedding=4, logit_adjustment=tau, label_smoothing=smoothing)
    head = TreeHead(8, TREE, config, COUNTS)
    features, actions = batch()
    loss = head.losses(features, actions)["action"]
    # The action without clips counts as one.
    prior = [count / 62 for count in (40, 3, 1, 17, 1)]
    total = 0.0
    for logits, label in zip(head.action_classifier(features).tolist(), actions.tolist(), strict=True):
        scores = [logit + tau * math.log(share) for logit, share in zip(logits, prior, strict=True)]
        negative = [math.log(sum(map(math.exp, scores))) - score for score in scores]
        total += (1 - smoothing) * negative[label] + smoothing * sum(negative) / 5
    assert float(loss.detach()) == pytest.approx(total / len(actions), rel=1e-5)


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_logit_adjustment_changes_the_actions_cross_entropy_alone(tau: float) -> None:
    plain = make(mode="as_published")
    config = plain.config.model_copy(update={"logit_adjustment": tau})
    adjusted = TreeHead(8, TREE, config, COUNTS)
    adjusted.load_state_dict(plain.state_dict())
    features, actions = batch()
    one, other = plain.losses(features, actions), adjusted.losses(features, actions)
    changed = {name for name in TERMS if not torch.equal(one[name], other[name])}
    assert changed == ({"loss", "action"} if tau else set())
    for name in ("action_logits", "body_logits"):
        assert torch.equal(getattr(plain(features), name), getattr(adjusted(features), name))


def test_actions_without_clips_give_finite_gradients() -> None:
    config = HeadConfig(logit_adjustment=3.0, label_smoothing=0.1)
    head = TreeHead(8, TREE, config, torch.tensor([5, 0, 0, 0, 0]))
    features, _ = batch()
    loss = head.losses(features.requires_grad_(), torch.zeros(12, dtype=torch.int64))["loss"]
    loss.backward()
    assert loss.isfinite() and features.grad.isfinite().all()


def test_the_prior_is_for_training_and_no_part_of_the_state() -> None:
    head = make(logit_adjustment=1.0)
    features, actions = batch()
    assert head(features).action_logits.isfinite().all()
    with pytest.raises(
        ConfigError, match=r"head\.logit_adjustment is 1\.0, but the head was built without the training"
    ):
        head.losses(features, actions)
    assert not any("prior" in name for name in TreeHead(8, TREE, head.config, COUNTS).state_dict())
