import numpy as np
import pytest
import torch

from pcan_pose.losses import diversity_loss, tree_loss
from pcan_pose.taxonomy import MA52, Taxonomy

TREE = Taxonomy("tiny", ("nod", "shake", "wave", "point", "kick"), ("head", "hand", "leg"), (0, 0, 1, 1, 2))
PARENTS = torch.from_numpy(TREE.parent_array)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def enumerated_tree_loss(body_logits: np.ndarray, action_logits: np.ndarray, action: int) -> float:
    """The loss of one clip, its states written out as sets of nodes."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    nodes = np.concatenate([sigmoid(body_logits), sigmoid(action_logits)])
    count = len(body_logits)
    states = [{b} for b in range(count)] + [{p, count + a} for a, p in enumerate(TREE.parents)]
    scores = [sum(nodes[node] for node in state) for state in states]
    target = {TREE.parents[action], count + action}
    return float(np.log(np.sum(np.exp(scores))) - scores[states.index(target)])


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_tree_loss_equals_enumerated_states(scale: float) -> None:
    rng = np.random.default_rng(0)
    body, action = rng.normal(size=(9, 3)) * scale, rng.normal(size=(9, 5)) * scale
    labels = rng.integers(0, 5, 9)
    loss = tree_loss(torch.from_numpy(body), torch.from_numpy(action), torch.from_numpy(labels), PARENTS)
    expected = [enumerated_tree_loss(*clip) for clip in zip(body, action, labels, strict=True)]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=2e-6)


def test_tree_loss_of_ma52_is_bounded_as_published() -> None:
    parents = torch.from_numpy(MA52.parent_array)
    actions = torch.arange(MA52.num_actions)
    zeros = tree_loss(torch.zeros(52, 7), torch.zeros(52, 52), actions, parents)
    # 7 states of one node at 0.5, 52 of two.
    expected = np.log(7 * np.exp(0.5) + 52 * np.exp(1)) - 1
    np.testing.assert_allclose(zeros.numpy(), expected, rtol=1e-6)
    assert expected == pytest.approx(4.03, abs=0.01)
    body = torch.full((52, 7), -40.0).scatter(1, parents[:, None], 40.0)
    action = torch.full((52, 52), -40.0).scatter(1, actions[:, None], 40.0)
    perfect = tree_loss(body, action, actions, parents)
    assert perfect.min() > 2.2 and perfect.max() < 2.6


def test_tree_loss_gradient_raises_both_nodes_of_the_label() -> None:
    body = torch.zeros(1, 3, requires_grad=True)
    action = torch.zeros(1, 5, requires_grad=True)
    tree_loss(body, action, torch.tensor([3]), PARENTS).sum().backward()
    assert (body.grad < 0).tolist() == [[False, True, False]]
    assert (action.grad < 0).tolist() == [[False, False, False, True, False]]


def test_tree_loss_of_half_precision_is_computed_in_float32() -> None:
    body, action = torch.randn(4, 3, dtype=torch.bfloat16), torch.randn(4, 5, dtype=torch.bfloat16)
    labels = torch.tensor([0, 1, 2, 3])
    loss = tree_loss(body, action, labels, PARENTS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, tree_loss(body.float(), action.float(), labels, PARENTS))


def test_published_diversity_is_the_norm_of_the_whole_cosine_matrix() -> None:
    prototypes = torch.randn(6, 4)
    total = 0.0
    for a in prototypes:
        for b in prototypes:
            total += float(a @ b / (a.norm() * b.norm())) ** 2
    torch.testing.assert_close(diversity_loss(prototypes), torch.tensor(total).sqrt())
    torch.testing.assert_close(diversity_loss(torch.eye(5)), torch.tensor(5.0).sqrt())


def test_corrected_diversity_counts_pairs_of_seen_prototypes_only() -> None:
    prototypes = torch.randn(6, 4)
    prototypes[2] = 0
    seen = torch.tensor([True, True, False, True, False, True])
    total = 0.0
    for i in range(6):
        for j in range(6):
            if i != j and seen[i] and seen[j]:
                total += float(torch.cosine_similarity(prototypes[i], prototypes[j], dim=0)) ** 2
    torch.testing.assert_close(diversity_loss(prototypes, seen), torch.tensor(total).sqrt())


def test_corrected_diversity_has_a_finite_gradient_everywhere() -> None:
    alike = torch.ones(3, 4) + 0.1 * torch.arange(12.0).view(3, 4)
    for start, seen in (
        (torch.eye(3), torch.ones(3, dtype=torch.bool)),  # perfectly diverse
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.bool)),  # nothing seen
        (alike, torch.tensor([True, True, False])),
    ):
        prototypes = start.clone().requires_grad_()
        diversity_loss(prototypes, seen).backward()
        assert prototypes.grad.isfinite().all()
    assert prototypes.grad[:2].abs().sum() > 0
    assert prototypes.grad[2].abs().sum() == 0


def test_a_step_against_the_corrected_diversity_spreads_the_prototypes() -> None:
    prototypes = (torch.ones(4, 8) + 0.1 * torch.randn(4, 8)).requires_grad_()
    seen = torch.ones(4, dtype=torch.bool)
    before = diversity_loss(prototypes, seen)
    before.backward()
    assert diversity_loss(prototypes.detach() - 0.1 * prototypes.grad, seen) < before
