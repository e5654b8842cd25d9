"""Mean bones of another clip of the same action."""

import math

import pytest
import torch
from test_mapped_dataset import mixed_set

from pcan_pose.config import DataConfig
from pcan_pose.data import pose_source
from pcan_pose.data.bones import Partners, mix_bones
from pcan_pose.data.dataset import Sample
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.transforms import even_positions, rotation_matrices
from pcan_pose.skeleton import Skeleton, skeleton

LAYOUT = skeleton("coco17")
BONES = LAYOUT.bones
ROOT = int((LAYOUT.parents == range(17)).nonzero()[0][0])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(dims: int, seed: int, persons: int = 1) -> torch.Tensor:
    return torch.randn(4, persons, 5, 17, dims, generator=seeded(seed), dtype=torch.float64)


def mean_bones(keypoints: torch.Tensor) -> torch.Tensor:
    child, parent = torch.tensor(BONES).T
    return (keypoints[..., child, :] - keypoints[..., parent, :]).mean(2)


def turned(keypoints: torch.Tensor, degrees: float) -> torch.Tensor:
    angles = torch.tensor([[0, 1, 0] if keypoints.shape[-1] == 3 else [0, 0, 1]]).double() * math.radians(degrees)
    return keypoints @ rotation_matrices(angles, keypoints.shape[-1])[0].T


def mixed(one: torch.Tensor, other: torch.Tensor, share: float) -> torch.Tensor:
    samples = [Sample(each, torch.ones(each.shape[:-1], dtype=torch.float64)) for each in (one, other)]
    return mix_bones(*samples, LAYOUT, torch.full((len(one),), share, dtype=torch.float64))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_clip_keeps_its_motion_and_takes_the_other_clips_mean_bones(dims: int) -> None:
    one, other = clips(dims, 1), clips(dims, 2)
    for share in (1.0, 0.25, -0.5):
        changed = mixed(one, other, share)
        moved = changed - one
        torch.testing.assert_close(moved, moved[:, :, :1].expand_as(moved))  # the same in every frame
        assert moved[..., ROOT, :].abs().max() < 1e-12
        whole = mean_bones(mixed(one, other, 1.0)) - mean_bones(one)
        torch.testing.assert_close(mean_bones(changed) - mean_bones(one), share * whole)
        # What is taken are the other's bones, turned.
        lengths = mean_bones(mixed(one, other, 1.0)).norm(dim=-1)
        torch.testing.assert_close(lengths, mean_bones(other).norm(dim=-1))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_other_clip_is_turned_to_fit_best(dims: int) -> None:
    one, other = clips(dims, 1), clips(dims, 2)
    for degrees in (-170.0, -40.0, 90.0):
        torch.testing.assert_close(mixed(one, turned(one, degrees), 1.0), one)  # nothing but turned: no change
        torch.testing.assert_close(mixed(one, turned(other, degrees), 1.0), mixed(one, other, 1.0))

    def misfit(keypoints: torch.Tensor) -> torch.Tensor:
        return (mean_bones(keypoints) - mean_bones(one)).square().sum((1, 2, 3))

    best = misfit(mixed(one, other, 1.0))
    others = torch.stack([misfit(turned(other, degrees)) for degrees in range(0, 360, 2)]).amin(0)
    assert (best <= others).all() and (others < 1.01 * best).all()


def test_two_persons_are_turned_by_one_angle() -> None:
    one, other = clips(3, 1, persons=2), clips(3, 2, persons=2)
    together = torch.cat([turned(one[:, :1], 70.0), turned(one[:, 1:], 70.0)], 1)
    torch.testing.assert_close(mixed(one, together, 1.0), one)
    apart = torch.cat([turned(one[:, :1], 70.0), turned(one[:, 1:], -20.0)], 1)
    assert (mixed(one, apart, 1.0) - one).abs().amax((1, 2, 3, 4)).min() > 0.1  # no angle fits both
    moved = mixed(one, other, 1.0)
    for person in (slice(0, 1), slice(1, 2)):
        assert not torch.allclose(moved[:, person], mixed(one[:, person], other[:, person], 1.0), atol=1e-3)


def test_joints_that_a_clip_lacks_change_nothing() -> None:
    scores, lacking = torch.ones(4, 2, 5, 17), torch.ones(4, 2, 5, 17)
    one, other = clips(3, 1, persons=2).float(), clips(3, 2, persons=2).float()
    wrist, elbow = (LAYOUT.joints.index(name) for name in ("left_wrist", "left_elbow"))
    lacking[:, :, :, wrist] = 0  # the other clip has no wrist: the bone to it keeps its mean
    lacking[:, 1] = 0  # and no second person
    scores[:, :, 2, elbow] = 0
    one, other = one * (scores > 0)[..., None], other * (lacking > 0)[..., None] + 5 * (lacking == 0)[..., None]
    changed = mix_bones(Sample(one, scores), Sample(other, lacking), LAYOUT, torch.ones(4))
    moved = changed - one
    assert moved[:, 1].abs().max() == 0 and moved[:, 0, 2, elbow].abs().max() == 0
    assert moved[:, 0, 0, elbow].abs().min() > 1e-4
    torch.testing.assert_close(moved[:, 0, 0, wrist], moved[:, 0, 0, elbow], rtol=0, atol=1e-6)
    # Frames without the joint do not count in its mean.
    spoiled = other.clone()
    spoiled[lacking == 0] = 99
    assert torch.equal(mix_bones(Sample(one, scores), Sample(spoiled, lacking), LAYOUT, torch.ones(4)), changed)


def test_partners_are_the_other_clips_of_the_action() -> None:
    labels = torch.tensor([3, 0, 3, 5, 0, 3, 1, 3])
    partners = Partners(labels)
    drawn = torch.stack([partners.draw(torch.arange(8), seeded(seed)) for seed in range(400)])
    assert (drawn[:, 3] == 3).all() and (drawn[:, 6] == 6).all()  # alone with their label
    assert (drawn[:, 1] == 4).all() and (drawn[:, 4] == 1).all()
    for clip, others in ((0, [2, 5, 7]), (5, [0, 2, 7]), (7, [0, 2, 5])):
        counts = torch.bincount(drawn[:, clip], minlength=8)
        assert counts.nonzero().flatten().tolist() == others
        assert counts[others].min() > 90
    again = partners.draw(torch.tensor([7, 7, 0]), seeded(1))
    assert torch.equal(again, partners.draw(torch.tensor([7, 7, 0]), seeded(1)))


def source(bone_mix: float) -> PoseSource:
    data = DataConfig(path="none", frames=6, augment={"bone_mix": bone_mix}, streams=("joint",))
    return PoseSource.from_set(mixed_set(), data, "cpu")


def training(clips: PoseSource, rows: slice = slice(None)) -> list[torch.Tensor]:
    wanted = torch.arange(16).split(8)
    return [inputs[0] for inputs in clips.training_batches(wanted, rows, seeded())]


def test_a_training_clip_is_mixed_with_others_of_its_action(monkeypatch: pytest.MonkeyPatch) -> None:
    clips, seen = source(0.5), []

    def record(sample: Sample, other: Sample, layout: Skeleton, shares: torch.Tensor) -> torch.Tensor:
        seen.append((sample, other, shares))
        return mix_bones(sample, other, layout, shares)

    monkeypatch.setattr(pose_source, "mix_bones", record)
    training(clips)
    assert len(seen) == 2
    every, positions = torch.arange(len(clips)), even_positions(len(clips), 6)
    own = clips.dataset.sample(every, positions).keypoints  # (N, M, T, V, C)
    for first, (sample, other, shares) in zip((0, 8), seen, strict=True):
        assert torch.equal(sample.keypoints, own[first : first + 8])
        for i, keypoints in enumerate(other.keypoints, first):
            (partner,) = [n for n in every.tolist() if torch.equal(keypoints, own[n])]
            alone = (clips.labels == clips.labels[i]).sum() == 1
            assert clips.labels[partner] == clips.labels[i] and (partner == i) == alone
        assert shares.abs().max() <= 0.5
    shares = torch.cat([shares for *_, shares in seen])
    assert shares.min() < -0.1 and shares.max() > 0.1 and len(shares.unique()) == 16


def test_training_batches_are_mixed_and_processes_draw_the_same() -> None:
    mixed, plain, parts = training(source(1.0)), training(source(0.0)), training(source(1.0), slice(2, 5))
    for batch, unmixed, part in zip(mixed, plain, parts, strict=True):
        assert ((batch - unmixed).abs().flatten(1).amax(1) > 1e-4).float().mean() > 0.5
        torch.testing.assert_close(part, batch[2:5], rtol=0, atol=1e-6)
