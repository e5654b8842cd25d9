import pytest
import torch

from pcan_pose.models.prototypes import PrototypeBank, class_members


def test_class_members() -> None:
    columns, chosen = torch.tensor([0, 2, 2, 1]), torch.tensor([True, True, False, True])
    members = class_members(columns, chosen, 4, torch.float64)
    assert members.dtype == torch.float64
    assert members.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("unseen", ["zero", "random"])
def test_updates_equal_a_naive_loop(unseen: str) -> None:
    bank = PrototypeBank(4, 3, momentum=0.8, unseen=unseen)
    expected, seen = bank.prototypes.clone(), [0] * 4
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        z = torch.randn(6, 3, generator=generator)
        labels = torch.randint(0, 3, (6,), generator=generator)
        correct = torch.rand(6, generator=generator) < 0.5
        updated = bank.update(z, labels, correct)
        for k in range(4):
            rows = [z[n] for n in range(6) if labels[n] == k and correct[n]]
            seen[k] += len(rows)
            if rows:
                expected[k] = 0.8 * expected[k] + 0.2 * torch.stack(rows).mean(0)
        torch.testing.assert_close(bank.prototypes, expected)
        torch.testing.assert_close(updated, expected)
        assert bank.seen.tolist() == seen


def test_start() -> None:
    assert PrototypeBank(4, 3).prototypes.abs().sum() == 0
    assert PrototypeBank(4, 3, unseen="random").prototypes.abs().min() > 0


def test_prototypes_are_state_and_not_parameters() -> None:
    bank = PrototypeBank(2, 3)
    assert list(bank.parameters()) == []
    bank.update(torch.randn(4, 3, requires_grad=True), torch.tensor([0, 0, 1, 1]), torch.tensor([True] * 4))
    assert sorted(bank.state_dict()) == ["prototypes", "seen"]
    assert not bank.prototypes.requires_grad
    other = PrototypeBank(2, 3)
    other.load_state_dict(bank.state_dict())
    assert torch.equal(other.prototypes, bank.prototypes) and torch.equal(other.seen, bank.seen)


def test_the_result_is_differentiable_and_earlier_batches_are_constants() -> None:
    bank = PrototypeBank(3, 2, momentum=0.9)
    z = torch.randn(4, 2, requires_grad=True)
    labels, correct = torch.tensor([0, 0, 1, 2]), torch.tensor([True, True, True, False])
    first = bank.update(z, labels, correct)
    second = bank.update(z.detach().clone().requires_grad_(), labels, correct)
    second.sum().backward()  # does not reach back into the first batch
    assert z.grad is None
    first.sum().backward()
    torch.testing.assert_close(z.grad, torch.tensor([[0.05, 0.05], [0.05, 0.05], [0.1, 0.1], [0.0, 0.0]]))


def test_a_stored_prototype_is_no_alias_of_the_result() -> None:
    bank = PrototypeBank(1, 2)
    before = bank.update(torch.ones(1, 2), torch.tensor([0]), torch.tensor([True]))
    bank.update(torch.full((1, 2), 5.0), torch.tensor([0]), torch.tensor([True]))
    torch.testing.assert_close(before, torch.full((1, 2), 0.1))
