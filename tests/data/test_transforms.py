import math

import pytest
import torch

from pcan_pose.config import AugmentConfig
from pcan_pose.data.transforms import (
    augment,
    blank,
    even_positions,
    frames_taken,
    random_positions,
    rotation_matrices,
)
from pcan_pose.skeleton import SKELETONS, skeleton

LAYOUT = skeleton("openpose28")
ALL = {
    "flip": 0.5,
    "rotation": (30, 20, 10),
    "scale": 0.2,
    "shear": 0.1,
    "noise": 0.05,
    "bone_noise": 0.05,
    "joint_dropout": 0.2,
}
EACH = [ALL, *({name: value} for name, value in ALL.items())]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(clips: int = 6, dims: int = 3, joints: int = 28) -> tuple[torch.Tensor, torch.Tensor]:
    generator = seeded(9)
    scores = torch.rand(clips, 2, 5, joints, generator=generator)
    scores = scores * (torch.rand(scores.shape, generator=generator) < 0.8)
    keypoints = torch.randn(clips, 2, 5, joints, dims, generator=generator)
    return keypoints * (scores > 0)[..., None], scores


def apply(dims: int = 3, seed: int = 0, **config: object) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(*batch(dims=dims), LAYOUT, AugmentConfig(**config), seeded(seed))


def test_even_positions() -> None:
    assert even_positions(2, 5).tolist() == [[0, 0.25, 0.5, 0.75, 1]] * 2


@pytest.mark.parametrize("resampling", ["uniform", "random"])
@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 0.8), (0.9, 1.0)])
def test_random_positions_are_sorted_and_inside_a_crop(resampling: str, crop: tuple[float, float]) -> None:
    config = AugmentConfig(crop=crop, resampling=resampling)
    positions = random_positions(200, 16, config, seeded())
    assert positions.shape == (200, 16)
    assert (positions.diff(dim=1) >= 0).all()
    assert positions.min() >= 0 and positions.max() <= 1 + 1e-6
    length = positions[:, -1] - positions[:, 0]
    assert length.max() <= crop[1] + 1e-6
    if resampling == "uniform":
        assert length.min() >= crop[0] - 1e-6
        torch.testing.assert_close(positions.diff(dim=1), (length / 15)[:, None].expand(-1, 15), rtol=1e-3, atol=1e-6)
    if crop[0] < crop[1]:
        assert length.std() > 0.01 and positions[:, 0].std() > 0.01
    assert torch.equal(positions, random_positions(200, 16, config, seeded()))


def test_short_clips_take_a_place_a_frame() -> None:
    lengths = torch.tensor([1, 2, 5, 9, 40])
    taken = frames_taken(lengths, 9)
    assert taken[:, 0].tolist() == [2, 2, 5, 9, 9]
    positions = even_positions(5, 9, taken=taken)
    assert (positions <= 1).sum(1).tolist() == [2, 2, 5, 9, 9]
    assert positions[2].tolist() == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    assert torch.equal(positions[4], even_positions(1, 9)[0])


@pytest.mark.parametrize("resampling", ["uniform", "random"])
def test_random_positions_of_padded_clips(resampling: str) -> None:
    lengths = torch.tensor([20, 20, 3, 100]).repeat(100)
    config = AugmentConfig(crop=(0.5, 1.0), resampling=resampling, tempo=0.5)
    positions = random_positions(400, 32, config, seeded(), lengths=lengths)
    assert positions.min() >= 0 and (positions.diff(dim=1) >= 0).all()
    taken = (positions <= 1).sum(1)
    assert (taken[lengths == 100] == 32).all() and (taken[lengths == 3] >= 2).all()
    # Half to all of the frames, two thirds to three halves as fast.
    twenty = taken[lengths == 20]
    assert 7 <= twenty.min() < 10 and 25 < twenty.max() <= 30
    # A crop keeps its place in the clip, however many frames it takes.
    ends = positions.masked_fill(positions > 1, 0).amax(1)
    assert ends[lengths == 100].min() < 0.7
    whole = AugmentConfig(resampling=resampling)
    counts = (random_positions(400, 32, whole, seeded(), lengths=lengths) <= 1).sum(1)
    assert torch.equal(counts, lengths.clamp(max=32))


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 9, 30, 2, 7, 7])])
@pytest.mark.parametrize("resampling", ["uniform", "random"])
def test_a_share_of_the_batch_is_sampled_as_in_the_whole(resampling: str, lengths: torch.Tensor | None) -> None:
    config = AugmentConfig(crop=(0.5, 0.9), resampling=resampling, tempo=0.3)
    generator, part_generator = seeded(), seeded()
    whole = random_positions(6, 12, config, generator, lengths=lengths)
    rows = slice(2, 5)
    part = random_positions(
        6, 12, config, part_generator, rows=rows, lengths=None if lengths is None else lengths[rows]
    )
    assert torch.equal(part, whole[rows])
    assert torch.equal(generator.get_state(), part_generator.get_state())


def test_padding_is_blank() -> None:
    keypoints, scores = batch()
    padding = torch.arange(5) >= torch.tensor([[5], [3], [1], [5], [4], [2]])
    empty, nobody = blank(keypoints, scores, padding)
    gone = padding[:, None, :, None].expand_as(scores)
    assert empty[gone].abs().sum() == nobody[gone].sum() == 0
    assert torch.equal(empty[~gone], keypoints[~gone]) and torch.equal(nobody[~gone], scores[~gone])


def test_no_augmentation_leaves_the_clips_and_draws_nothing() -> None:
    keypoints, scores = batch()
    generator = seeded()
    state = generator.get_state()
    out = augment(keypoints, scores, LAYOUT, AugmentConfig(), generator)
    assert torch.equal(out[0], keypoints) and torch.equal(out[1], scores)
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("config", EACH)
def test_the_seed_decides(config: dict[str, object], dims: int) -> None:
    first, again, other = apply(dims, **config), apply(dims, **config), apply(dims, seed=1, **config)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    if dims == 3:
        assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("rows", [slice(0, 3), slice(3, 6), slice(2, 4)])
@pytest.mark.parametrize("config", EACH)
def test_a_share_of_the_batch_gets_what_the_whole_batch_gives_it(config: dict[str, object], rows: slice) -> None:
    keypoints, scores = batch()
    settings = AugmentConfig(**config)
    generator, part_generator = seeded(), seeded()
    whole = augment(keypoints, scores, LAYOUT, settings, generator)
    part = augment(keypoints[rows], scores[rows], LAYOUT, settings, part_generator, rows=rows, batch=6)
    torch.testing.assert_close(part[0], whole[0][rows], rtol=1e-6, atol=1e-6)
    assert torch.equal(part[1], whole[1][rows])
    # The next batch starts from the same random numbers, too.
    assert torch.equal(generator.get_state(), part_generator.get_state())


@pytest.mark.parametrize("config", EACH)
def test_missing_joints_stay_at_zero(config: dict[str, object]) -> None:
    keypoints, scores = apply(**config)
    assert keypoints[scores == 0].abs().sum() == 0


@pytest.mark.parametrize("config", EACH)
def test_the_input_is_left_alone(config: dict[str, object]) -> None:
    keypoints, scores = batch()
    augment(keypoints, scores, LAYOUT, AugmentConfig(**config), seeded())
    assert torch.equal(keypoints, batch()[0]) and torch.equal(scores, batch()[1])


@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_flipping_swaps_sides_and_twice_is_nothing(name: str) -> None:
    layout = skeleton(name)
    keypoints, scores = batch(joints=layout.num_joints)
    config = AugmentConfig(flip=1)
    once = augment(keypoints, scores, layout, config, seeded())
    left, right = (layout.index(f"{side}_wrist") for side in ("left", "right"))
    assert torch.equal(once[0][..., left, :], keypoints[..., right, :] * torch.tensor([-1.0, 1, 1]))
    assert torch.equal(once[1][..., left], scores[..., right])
    assert not torch.equal(once[0], keypoints)
    twice = augment(*once, layout, config, seeded())
    assert torch.equal(twice[0], keypoints) and torch.equal(twice[1], scores)


def test_a_flip_turns_whole_clips_as_often_as_its_probability_says() -> None:
    keypoints, scores = torch.ones(2000, 1, 2, 28, 2), torch.ones(2000, 1, 2, 28)
    flipped = augment(keypoints, scores, LAYOUT, AugmentConfig(flip=0.3), seeded())[0][..., 0] < 0
    assert (flipped.flatten(1).all(1) | ~flipped.flatten(1).any(1)).all()
    assert flipped.float().mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_rotation_keeps_all_distances_and_sides(dims: int) -> None:
    keypoints, scores = batch(dims=dims)
    turned, _ = augment(keypoints, scores, LAYOUT, AugmentConfig(rotation=(60, 60, 30)), seeded())
    before, after = (torch.cdist(x.double(), x.double()) for x in (keypoints, turned))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(turned, keypoints, atol=1e-2)
    angles = torch.rand(20, 3) * 6 - 3
    matrices = rotation_matrices(angles, dims)
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(20))
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(dims).expand(20, dims, dims), rtol=1e-5, atol=1e-6)


def test_rotations_turn_about_their_axes_in_the_right_sense() -> None:
    quarter = math.pi / 2
    matrices = rotation_matrices(torch.tensor([[quarter, 0, 0], [0, quarter, 0], [0, 0, quarter]]), 3)
    x, y, z = torch.eye(3)
    for matrix, start, end in zip(matrices, (y, z, x), (z, x, y), strict=True):
        torch.testing.assert_close(matrix @ start, end, rtol=0, atol=1e-6)
    flat = rotation_matrices(torch.tensor([[9.0, 9.0, quarter]]), 2)[0]
    torch.testing.assert_close(flat @ torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), rtol=0, atol=1e-6)
    both = rotation_matrices(torch.tensor([[quarter, quarter, quarter]]), 3)[0]
    torch.testing.assert_close(both, matrices[2] @ matrices[1] @ matrices[0], rtol=0, atol=1e-6)


def test_a_rotations_angle_stays_in_its_limit() -> None:
    keypoints = torch.zeros(500, 1, 1, 28, 2)
    keypoints[..., 0] = 1
    turned, _ = augment(keypoints, torch.ones(500, 1, 1, 28), LAYOUT, AugmentConfig(rotation=(0, 0, 20)), seeded())
    degrees = torch.atan2(turned[..., 1], turned[..., 0]).rad2deg()
    assert 18 < degrees.max() <= 20.01 and -20.01 <= degrees.min() < -18


def test_scale_is_one_factor_a_clip() -> None:
    keypoints, scores = batch()
    scaled, _ = augment(keypoints, scores, LAYOUT, AugmentConfig(scale=0.2), seeded())
    factors = [(scaled[n][scores[n] > 0] / keypoints[n][scores[n] > 0]) for n in range(6)]
    for factor in factors:
        torch.testing.assert_close(factor, factor[0, 0].expand_as(factor), rtol=1e-4, atol=1e-4)
        assert 0.8 <= factor[0, 0] <= 1.2
    assert len({round(float(factor[0, 0]), 4) for factor in factors}) == 6


def test_shear_keeps_the_diagonal() -> None:
    axes = torch.eye(3).repeat(6, 1, 1)[:, None, None]  # three joints on the axes
    sheared, _ = augment(axes, torch.ones(6, 1, 1, 3), LAYOUT, AugmentConfig(shear=0.1), seeded())
    matrices = sheared[:, 0, 0]
    torch.testing.assert_close(matrices.diagonal(dim1=1, dim2=2), torch.ones(6, 3))
    off = matrices - torch.diag_embed(torch.ones(6, 3))
    assert 0.05 < off.abs().max() <= 0.1


def test_noise_is_drawn_for_each_joint_that_is_there() -> None:
    keypoints, scores = torch.zeros(20, 1, 10, 28, 2), torch.ones(20, 1, 10, 28)
    scores[:, :, :, 3] = 0
    noisy, _ = augment(keypoints, scores, LAYOUT, AugmentConfig(noise=0.3), seeded())
    assert noisy[..., 3, :].abs().sum() == 0
    rest = noisy[scores > 0]
    assert rest.std() == pytest.approx(0.3, rel=0.05)
    assert len(rest.unique()) > 0.9 * rest.numel()


def test_bone_noise_changes_each_bone_once_a_clip_and_person() -> None:
    keypoints, scores = torch.randn(1, 1, 1, 28, 3).repeat(200, 2, 5, 1, 1), torch.ones(200, 2, 5, 28)
    keypoints[100:] *= 7  # taller people: their bones change as much in their own lengths
    scores[:, :, 1, 3] = scores[:, :, :, 4] = 0
    keypoints = keypoints * (scores > 0)[..., None]
    changed, same = augment(keypoints, scores, LAYOUT, AugmentConfig(bone_noise=0.3), seeded())
    assert torch.equal(same, scores)
    moved = (changed - keypoints).double()
    assert moved[scores == 0].abs().sum() == 0
    torch.testing.assert_close(moved[:, :, 2:], moved[:, :, :1].expand(-1, -1, 3, -1, -1), rtol=0, atol=1e-5)
    child, parent = torch.tensor([bone for bone in LAYOUT.bones if 4 not in bone]).T
    bones, changes = ((each[..., child, :] - each[..., parent, :])[:, :, 0] for each in (keypoints.double(), moved))
    shares = changes / bones.norm(dim=-1, keepdim=True)  # (200, 2, bones, 3)
    torch.testing.assert_close(shares.std((0, 1)), torch.full((len(child), 3), 0.3).double(), rtol=0.2, atol=0)
    assert shares.std() == pytest.approx(0.3, rel=0.02) and shares.mean() == pytest.approx(0, abs=0.01)
    # Bones are drawn apart from each other, and the root, the neck, stays.
    apart = shares.permute(2, 3, 0, 1).flatten(1).corrcoef() - torch.eye(len(child))
    assert apart.abs().max() < 0.15
    assert moved[..., 1, :].abs().max() == 0


def test_joint_dropout_takes_joints_for_the_whole_clip() -> None:
    keypoints, scores = torch.ones(100, 2, 5, 28, 2), torch.ones(100, 2, 5, 28)
    keypoints, scores = augment(keypoints, scores, LAYOUT, AugmentConfig(joint_dropout=0.25), seeded())
    gone = scores.permute(0, 3, 1, 2).flatten(2) == 0
    assert (gone.all(2) | ~gone.any(2)).all()
    assert gone.float().mean() == pytest.approx(0.25, abs=0.05)
    assert torch.equal(keypoints[..., 0], scores)
