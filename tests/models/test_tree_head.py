"""The hierarchical head."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_heads import TERMS, TREE, batch, make

from pcan_pose.config import HeadConfig
from pcan_pose.losses import tree_loss
from pcan_pose.models.rectification import rectify
from pcan_pose.models.tree_head import TreeHead
from pcan_pose.taxonomy import Taxonomy

ABLATIONS: list[dict[str, Any]] = [
    {},
    {"mode": "as_published"},
    {"calibration": {"enabled": False}},
    {"calibration": {"enabled": False}, "diversity": "detached"},
    {"calibration": {"enabled": False}, "diversity_weight": 0, "rectification": 0},
    {"calibration": {"weight": 0}, "diversity_weight": 0},
    {"body_weight": 0},
    {"tree_weight": 0},
    {"body_weight": 0, "tree_weight": 0},
    {"body_weight": 0, "tree_weight": 0, "calibration": {"detach_probability": False}},
]


def test_prediction_shapes_and_precision() -> None:
    prediction = make().eval()(torch.randn(3, 8, dtype=torch.bfloat16))
    assert prediction.action_logits.shape == (3, 5)
    assert prediction.body_logits.shape == (3, 3)
    assert prediction.embeddings.shape == (3, 6)
    assert {x.dtype for x in vars(prediction).values()} == {torch.float32}


def test_rectification_is_the_classifier_plus_the_similarity_and_unseen_classes_add_nothing() -> None:
    head = make(rectification=3.0)
    features, _ = batch()
    plain = head.action_classifier(features)
    assert torch.equal(head(features).action_logits, plain)  # nothing was seen yet
    head.action_bank.update(torch.randn(2, 6), torch.tensor([1, 3]), torch.tensor([True, True]))
    rectified = head(features).action_logits
    assert torch.equal(rectified[:, [0, 2, 4]], plain[:, [0, 2, 4]])
    expected = rectify(plain, head.action_embedding(features), head.action_bank.prototypes, 3.0)
    torch.testing.assert_close(rectified, expected)
    assert (rectified[:, [1, 3]] != plain[:, [1, 3]]).all()
    assert torch.equal(make(rectification=0)(features).body_logits.isfinite().all(), torch.tensor(True))


def test_clips_are_independent_in_evaluation() -> None:
    head = make().eval()
    features, actions = batch()
    head.losses(features, actions)
    torch.testing.assert_close(head(features[3:4]).action_logits, head(features).action_logits[3:4])


def test_the_loss_is_the_weighted_sum_of_its_named_terms() -> None:
    weights = {"body_weight": 0.3, "tree_weight": 0.7, "diversity_weight": 0.05}
    head = make(**weights, calibration={"weight": 0.11}, label_smoothing=0.1)
    features, actions = batch()
    losses = head.losses(features, actions)
    assert losses.keys() == TERMS
    action_logits, body_logits = head.action_classifier(features), head.body_classifier(features)
    body = torch.from_numpy(TREE.parent_array)[actions]
    torch.testing.assert_close(losses["action"], F.cross_entropy(action_logits, actions, label_smoothing=0.1))
    torch.testing.assert_close(losses["body"], F.cross_entropy(body_logits, body, label_smoothing=0.1))
    torch.testing.assert_close(losses["tree"], tree_loss(body_logits, action_logits, actions, head.parents).mean())
    parts = {
        "action": 1,
        "body": 0.3,
        "tree": 0.7,
        "diversity": 0.05,
        "action_calibration": 0.11,
        "body_calibration": 0.11,
    }
    torch.testing.assert_close(losses["loss"], sum(weight * losses[name] for name, weight in parts.items()))


def test_published_weights_are_one_and_a_fifth() -> None:
    head = make(mode="as_published")
    losses = head.losses(*batch())
    expected = losses["action"] + losses["body"] + losses["tree"]
    expected = expected + (losses["action_calibration"] + losses["diversity"] + losses["body_calibration"]) / 5
    torch.testing.assert_close(losses["loss"], expected)


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({"body_weight": 0}, {"body"}),
        ({"tree_weight": 0}, {"tree"}),
        ({"diversity_weight": 0}, {"diversity"}),
        ({"calibration": {"enabled": False}}, {"action_calibration", "body_calibration"}),
    ],
)
def test_terms_that_are_off_are_not_computed(config: dict[str, Any], missing: set[str]) -> None:
    assert make(**config).losses(*batch()).keys() == TERMS - missing


@pytest.mark.parametrize("config", ABLATIONS)
def test_exactly_the_weights_that_are_trained_get_a_gradient(config: dict[str, Any]) -> None:
    # DistributedDataParallel waits for the gradient of every weight that requires one.
    head = make(**config)
    features, actions = batch()
    head.losses(features.requires_grad_(), actions)["loss"].backward()
    assert {name: p.requires_grad for name, p in head.named_parameters()} == {
        name: p.grad is not None for name, p in head.named_parameters()
    }
    assert features.grad.isfinite().all() and features.grad.abs().sum() > 0


def test_true_positives_move_the_prototypes_of_both_levels() -> None:
    head = make(momentum=0.5)
    features, actions = batch(6)
    body = head.parents[actions]
    assert actions.tolist() == [0, 1, 2, 3, 4, 0] and body.tolist() == [0, 0, 1, 1, 2, 0]
    with torch.no_grad():
        for classifier in (head.action_classifier, head.body_classifier):
            classifier.weight.zero_()
        # Everything is called "wave" of "head": clip 2 is right in its action, but not in its body part.
        head.action_classifier.bias.copy_(torch.tensor([0.0, 0, 1, 0, 0]))
        head.body_classifier.bias.copy_(torch.tensor([1.0, 0, 0]))
    head.losses(features, actions)
    assert head.action_bank.seen.tolist() == [0, 0, 0, 0, 0]
    assert head.body_bank.seen.tolist() == [3, 0, 0]
    with torch.no_grad():
        # "wave" of "hand": clip 2 is right, clip 3 in its body part only.
        head.body_classifier.bias.copy_(torch.tensor([0.0, 1, 0]))
    head.losses(features, actions)
    assert head.action_bank.seen.tolist() == [0, 0, 1, 0, 0]
    assert head.body_bank.seen.tolist() == [3, 2, 0]
    torch.testing.assert_close(head.action_bank.prototypes[2], 0.5 * head.action_embedding(features[2]).detach())
    mean = head.body_embedding(features[2:4]).mean(0).detach()
    torch.testing.assert_close(head.body_bank.prototypes[1], 0.5 * mean)


def _both_right_head(**config: Any) -> tuple[TreeHead, torch.Tensor, torch.Tensor]:
    """A head that calls every clip right, so that all prototypes move."""
    head = make(features=5, **config)
    with torch.no_grad():
        for layer, target in (
            (head.action_classifier, torch.eye(5)),
            (head.body_classifier, F.one_hot(head.parents).T),
        ):
            layer.weight.copy_(20 * target)
            layer.bias.zero_()
    actions = torch.arange(10) % 5
    return head, F.one_hot(actions, 5) + 0.01 * torch.randn(10, 5), actions


@pytest.mark.parametrize("diversity", ["differentiable", "detached"])
def test_only_the_corrected_diversity_trains_the_embedding(diversity: str) -> None:
    head, features, actions = _both_right_head(diversity=diversity)
    losses = head.losses(features, actions)
    assert (head.action_bank.seen == 2).all()
    assert losses["diversity"].requires_grad is (diversity == "differentiable")
    if diversity == "differentiable":
        losses["diversity"].backward()
        assert head.action_embedding.weight.grad.abs().sum() > 0
        assert losses["diversity"] < 20**0.5 + 1e-4  # off the diagonal of 5 x 5
    else:
        assert losses["diversity"] > 5**0.5 - 1e-4  # the diagonal alone


def test_prototypes_that_were_never_seen_are_no_part_of_the_corrected_diversity() -> None:
    head, features, actions = _both_right_head(unseen_prototypes="random")
    one = actions == 0
    assert head.losses(features[one], actions[one])["diversity"] < 1e-5  # a single prototype has no other


def test_calibration_keeps_the_label_probability_out_in_corrected_mode_only() -> None:
    for config, reached in (({}, False), ({"mode": "as_published"}, True)):
        head = make(**config)
        losses = head.losses(*batch())
        (losses["action_calibration"] + losses["body_calibration"]).backward()
        assert (head.action_classifier.weight.grad is not None) is reached


def test_without_a_body_loss_the_actions_say_the_body_part_in_training_and_at_inference() -> None:
    head = make(body_weight=0, tree_weight=0, rectification=0, momentum=0.0)
    features, actions = batch()
    probability = head.action_classifier(features).softmax(1)
    expected = torch.stack([probability[:, :2].sum(1), probability[:, 2:4].sum(1), probability[:, 4]], 1)
    torch.testing.assert_close(head(features).body_logits.softmax(1), expected)
    right = (expected.argmax(1) == head.parents[actions]) & (probability.argmax(1) == actions)
    with torch.no_grad():
        head.body_classifier.bias.copy_(torch.tensor([-100.0, -100, 100]))  # says nothing
    head.losses(features, actions)
    assert head.action_bank.seen.tolist() == [int((right & (actions == k)).sum()) for k in range(5)]


def test_dropout_drops_the_pooled_feature_in_training_only() -> None:
    head = make(dropout=0.5)
    features, actions = batch()
    first, second = head.losses(features, actions)["action"], head.losses(features, actions)["action"]
    assert first != second
    torch.manual_seed(1)
    first = head.losses(features, actions)["action"]
    torch.manual_seed(1)
    assert head.losses(features, actions)["action"] == first
    head.eval()
    assert head.losses(features, actions)["action"] == head.losses(features, actions)["action"]


def test_prototypes_of_both_levels_are_in_the_state() -> None:
    head = make()
    head.losses(*batch())
    state = head.state_dict()
    assert {f"{level}_bank.{name}" for level in ("action", "body") for name in ("prototypes", "seen")} <= state.keys()
    assert "parents" not in state


def test_a_taxonomy_with_one_body_part_works() -> None:
    tree = Taxonomy("flat", ("a", "b", "c"), ("all",), (0, 0, 0))
    head = TreeHead(8, tree, HeadConfig())
    loss = head.losses(torch.randn(4, 8), torch.tensor([0, 1, 2, 0]))["loss"]
    loss.backward()
    assert loss.isfinite()


def test_embedded_features_reach_the_embeddings_alone_and_are_not_dropped() -> None:
    head = make(dropout=0.5)
    features, actions = batch()
    other = torch.randn(12, 8, requires_grad=True)
    seen = []
    for layer in (head.action_embedding, head.body_embedding):
        layer.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    losses = head.losses(features.requires_grad_(), actions, embedded=other)
    assert torch.equal(seen[0], other) and torch.equal(seen[1], other)
    (losses["action"] + losses["body"] + losses["tree"]).backward(retain_graph=True)
    assert other.grad is None and features.grad.abs().sum() > 0
    losses["action_calibration"].backward()
    assert other.grad.abs().sum() > 0


def test_a_head_of_float64_computes_in_float64() -> None:
    head = make().double()
    features, actions = batch()
    assert {loss.dtype for loss in head.losses(features.double(), actions).values()} == {torch.float64}
    assert {x.dtype for x in vars(head(features.double())).values()} == {torch.float64}
