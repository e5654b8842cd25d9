import math

import pytest
import torch
import torch.nn.functional as F

from pcan_pose.losses import diversity_loss
from pcan_pose.models.calibration import AmbiguousSet, action_sets, body_sets, calibration_loss
from pcan_pose.models.prototypes import PrototypeBank

PUBLISHED = {"weight_losses": False, "only_ambiguous": False, "detach_probability": False}


def one_hot(columns: list[int], classes: int) -> torch.Tensor:
    return F.one_hot(torch.tensor(columns), classes).float()


def naive_loss(
    z: torch.Tensor,
    prototypes: torch.Tensor,
    logits: torch.Tensor,
    labels: torch.Tensor,
    sets: list[AmbiguousSet],
    *,
    alpha: float,
    tau: float,
    published: bool,
) -> float:
    """The formulas of the paper, one clip and one class at a time."""

    def cos(a: torch.Tensor, b: torch.Tensor) -> float:
        norm = float(a.norm() * b.norm())
        return float(a @ b) / norm if norm else 0.0

    total = 0.0
    clips, classes = logits.shape
    for chosen in sets:
        losses = []
        for n in range(clips):
            y = int(labels[n])
            p = float(logits[n].softmax(0)[y])
            members = [z[i] for i in range(clips) if chosen.clips[i] and chosen.columns[i] == y]
            if not published and not (chosen.clips[n] if chosen.pull else members):
                continue
            values = [cos(z[n], prototypes[k]) for k in range(classes)]
            if members:
                similarity = cos(z[n], torch.stack(members).sum(0))
                values[y] += alpha * (1 - p) * ((similarity if chosen.pull else -similarity) - 1)
            scaled = [value / tau * (chosen.weight if published else 1) for value in values]
            losses.append(math.log(sum(math.exp(value) for value in scaled)) - scaled[y])
        if losses:
            total += sum(losses) / len(losses) * (1 if published else chosen.weight)
    return total


def example(seed: int = 0, clips: int = 12) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "z": normal(clips, 5),
        "prototypes": normal(6, 5),
        "action_logits": normal(clips, 6),
        "body_logits": normal(clips, 3),
        "action": torch.randint(0, 6, (clips,), generator=generator),
    }


def test_action_sets_follow_the_tree() -> None:
    body = torch.tensor([0, 0, 0, 0])
    action = torch.tensor([1, 1, 1, 1])
    sets = action_sets(
        one_hot([0, 0, 1, 1], 2), one_hot([1, 2, 1, 3], 4), body, action, (1.0, 0.1, 0.5), 2.0
    )  # right; action wrong; body wrong; both wrong
    assert [chosen.clips.tolist() for chosen in sets] == [
        [False, True, False, False],
        [False, False, True, False],
        [False, False, False, True],
        [False, True, False, True],
    ]
    assert [chosen.columns.tolist() for chosen in sets] == [[1] * 4] * 3 + [[1, 2, 1, 3]]
    assert [chosen.weight for chosen in sets] == [1.0, 0.1, 0.5, 2.0]
    assert [chosen.pull for chosen in sets] == [True, True, True, False]


def test_body_sets() -> None:
    missed, claimed = body_sets(one_hot([0, 2, 1], 3), torch.tensor([0, 1, 1]))
    assert missed.clips.tolist() == claimed.clips.tolist() == [False, True, False]
    assert missed.columns.tolist() == [0, 1, 1] and missed.pull
    assert claimed.columns.tolist() == [0, 2, 1] and not claimed.pull


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("published", [True, False])
def test_equals_the_formulas_clip_by_clip(seed: int, published: bool) -> None:
    data = example(seed)
    body = data["action"] // 2
    sets = action_sets(data["body_logits"], data["action_logits"], body, data["action"], (1.0, 0.1, 0.5), 0.7)
    switches = PUBLISHED if published else {}
    arguments = (data["z"], data["prototypes"], data["action_logits"], data["action"], sets)
    loss = calibration_loss(*arguments, alpha=0.3, temperature=0.2, **switches)
    assert float(loss) == pytest.approx(naive_loss(*arguments, alpha=0.3, tau=0.2, published=published), rel=1e-9)


def test_clips_that_are_right_enter_only_where_their_class_was_wrongly_claimed() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    claimed = torch.tensor([0, 0, 0, 2])  # clip 2 is missed by class 1 and claimed by class 0
    data = example(clips=4)
    z = data["z"].requires_grad_()
    logits = 50 * F.one_hot(claimed, 6).double()
    missed, wrong = body_sets(logits, labels)
    calibration_loss(z, data["prototypes"], logits, labels, [missed]).backward()
    assert (z.grad.abs().sum(1) > 0).tolist() == [False, False, True, False]
    z.grad = None
    calibration_loss(z, data["prototypes"], logits, labels, [wrong]).backward()
    # Class 0's own clips are moved away from clip 2; class 2, which nobody claimed wrongly, is at rest.
    assert (z.grad.abs().sum(1) > 0).tolist() == [True, True, False, False]


@pytest.mark.parametrize("switches", [{}, PUBLISHED])
def test_a_batch_without_ambiguous_clips(switches: dict[str, bool]) -> None:
    data = example()
    logits = (50 * F.one_hot(data["action"], 6)).double().requires_grad_()
    z = data["z"].clone().requires_grad_()
    sets = body_sets(logits, data["action"])
    loss = calibration_loss(z, data["prototypes"], logits, data["action"], sets, **switches)
    loss.backward()
    assert z.grad.isfinite().all()
    assert (float(loss.detach()) == 0) is not bool(switches)


@pytest.mark.parametrize("detach", [True, False])
def test_the_labels_probability_is_detached(detach: bool) -> None:
    data = example()
    logits = data["action_logits"].clone().requires_grad_()
    z = data["z"].clone().requires_grad_()
    sets = body_sets(logits, data["action"])
    calibration_loss(z, data["prototypes"], logits, data["action"], sets, detach_probability=detach).backward()
    assert (logits.grad is None) is detach
    assert z.grad.abs().sum() > 0


def test_the_gradient_reaches_the_prototypes_and_agrees_with_differences() -> None:
    data = example(clips=5)
    sets = body_sets(data["action_logits"], data["action"])

    def loss(z: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        return calibration_loss(z, prototypes, data["action_logits"], data["action"], sets)

    assert torch.autograd.gradcheck(loss, (data["z"].requires_grad_(), data["prototypes"].requires_grad_()))


def test_prototypes_of_zeros_and_empty_sets_give_finite_gradients_in_float32() -> None:
    data = {name: value.float() if value.is_floating_point() else value for name, value in example().items()}
    bank = PrototypeBank(6, 5)
    z = data["z"].requires_grad_()
    correct = torch.zeros(12, dtype=torch.bool)
    correct[0] = True
    prototypes = bank.update(z, data["action"], correct)
    sets = body_sets(data["action_logits"], data["action"])
    loss = calibration_loss(z, prototypes, data["action_logits"], data["action"], sets)
    (loss + diversity_loss(prototypes, bank.seen > 0)).backward()
    assert z.grad.isfinite().all() and z.grad.abs().max() < 1e3
