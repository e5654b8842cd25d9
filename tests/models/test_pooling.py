import pytest
import torch

from pcan_pose.models.pooling import masked_mean


def naive(features: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    clips, persons, frames, joints = found.shape
    short = features.shape[2]
    features = features.view(clips, persons, -1, short, joints)
    out = torch.zeros(clips, features.shape[2])
    for n in range(clips):
        chosen = []
        for m in range(persons):
            for t in range(short):
                # The input frames that output frame t covers.
                first, end = t * frames // short, -(-(t + 1) * frames // short)
                for v in range(joints):
                    if found[n, m, first:end, v].any():
                        chosen.append(features[n, m, :, t, v])
        if chosen:
            out[n] = torch.stack(chosen).mean(0)
    return out


@pytest.mark.parametrize(("frames", "short"), [(6, 6), (6, 3), (13, 4), (7, 4), (5, 1)])
def test_equals_a_naive_loop(frames: int, short: int) -> None:
    found = torch.rand(3, 2, frames, 4) < 0.3
    found[1, 1] = False
    features = torch.randn(6, 5, short, 4)
    torch.testing.assert_close(masked_mean(features, found), naive(features, found), rtol=1e-5, atol=1e-6)


def test_missing_joints_and_persons_change_nothing() -> None:
    found = torch.rand(2, 2, 6, 4) < 0.5
    found[:, 1] = False
    features = torch.randn(4, 5, 6, 4)
    other = torch.where(found.view(4, 1, 6, 4), features, torch.randn(4, 5, 6, 4))
    torch.testing.assert_close(masked_mean(features, found), masked_mean(other, found))


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
