import pytest
import torch

from pcan_pose.models.pooling import Pool, masked_mean, masked_peak, mean_and_peak


def naive(features: torch.Tensor, found: torch.Tensor, *, peak: bool = False) -> torch.Tensor:
    """Mean over all that counts, or, as published, the maximum over persons and joints of means over time."""
    clips, persons, frames, joints = found.shape
    short = features.shape[2]
    features = features.view(clips, persons, -1, short, joints)
    out = torch.zeros(clips, features.shape[2])
    for n in range(clips):
        chosen, means = [], []
        for m in range(persons):
            for v in range(joints):
                own = []
                for t in range(short):
                    # The input frames that output frame t covers.
                    first, end = t * frames // short, -(-(t + 1) * frames // short)
                    if found[n, m, first:end, v].any():
                        own.append(features[n, m, :, t, v])
                chosen += own
                means += [torch.stack(own).mean(0)] if own else []
        if chosen:
            out[n] = torch.stack(means).amax(0) if peak else torch.stack(chosen).mean(0)
    return out


@pytest.mark.parametrize(("frames", "short"), [(6, 6), (6, 3), (13, 4), (7, 4), (5, 1)])
def test_equals_a_naive_loop(frames: int, short: int) -> None:
    found = torch.rand(3, 2, frames, 4) < 0.3
    found[1, 1] = False
    features = torch.randn(6, 5, short, 4)
    mean, peak = naive(features, found), naive(features, found, peak=True)
    torch.testing.assert_close(masked_mean(features, found), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(masked_peak(features, found), peak, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(mean, peak)
    both = mean_and_peak(features, found)
    assert torch.equal(both[:, 0], masked_mean(features, found))
    assert torch.equal(both[:, 1], masked_peak(features, found))


@pytest.mark.parametrize("pool", [masked_mean, masked_peak])
def test_missing_joints_and_persons_change_nothing(pool: Pool) -> None:
    found = torch.rand(2, 2, 6, 4) < 0.5
    found[:, 1] = False
    features = torch.randn(4, 5, 6, 4)
    other = torch.where(found.view(4, 1, 6, 4), features, torch.randn(4, 5, 6, 4))
    torch.testing.assert_close(pool(features, found), pool(other, found))


def test_a_clip_without_joints_gives_zeros_and_finite_gradients() -> None:
    features = torch.randn(2, 3, 4, 5, requires_grad=True)
    found = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    found[1] = True
    pooled = masked_mean(features, found)
    assert pooled[0].abs().sum() == 0
    pooled.sum().backward()
    assert features.grad[0].abs().sum() == 0
    torch.testing.assert_close(features.grad[1], torch.full((3, 4, 5), 1 / 20))


def test_a_mean_of_half_precision_features_is_exact_to_float32() -> None:
    # 27 x 19 = 513 counts are not a bfloat16 number; a mean of ones must be one all the same.
    found = torch.ones(1, 1, 27, 19, dtype=torch.bool)
    pooled = masked_mean(torch.ones(1, 2, 27, 19, dtype=torch.bfloat16), found)
    assert pooled.tolist() == [[1.0, 1.0]]
    features = torch.randn(1, 2, 27, 19).to(torch.bfloat16) + 3
    torch.testing.assert_close(masked_mean(features, found).float(), features.float().mean((2, 3)), rtol=1e-5, atol=0)


def test_a_peak_below_zero_is_not_hidden_by_missing_joints() -> None:
    features = -torch.rand(2, 3, 4, 5) - 1
    found = torch.ones(2, 1, 4, 5, dtype=torch.bool)
    found[0, 0, :, 2] = False
    assert (masked_peak(features, found) < -1).all()


def test_the_peak_of_a_clip_without_joints_is_zero_and_its_gradient_finite() -> None:
    features = torch.randn(2, 3, 4, 5, requires_grad=True)
    found = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    found[1] = True
    peak = masked_peak(features, found)
    assert peak[0].abs().sum() == 0
    peak.sum().backward()
    assert features.grad[0].abs().sum() == 0
    # One joint of each channel takes the gradient, shared by its frames.
    assert sorted(features.grad[1].flatten().tolist()) == [0.0] * 48 + [0.25] * 12


def test_a_peak_of_half_precision_features_is_exact_to_float32() -> None:
    features = (torch.randn(1, 2, 27, 19) + 3).to(torch.bfloat16)
    peak = masked_peak(features, torch.ones(1, 1, 27, 19, dtype=torch.bool))
    assert peak.dtype == torch.float32
    torch.testing.assert_close(peak, features.float().mean(2).amax(2), rtol=1e-5, atol=0)
