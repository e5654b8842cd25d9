import torch

from pcan_pose.models.joint_norm import JointNorm


def test_each_channel_of_each_joint_is_normalised_over_clips_persons_and_frames() -> None:
    norm = JointNorm(2, 3)
    x = 5 + 2 * torch.randn(4, 2, 6, 3, 2)
    out = norm(x, torch.ones(4, 2, 6, 3, dtype=torch.bool))
    assert out.shape == (8, 2, 6, 3) and out.is_contiguous()
    for v in range(3):
        for c in range(2):
            values = x[:, :, :, v, c]
            expected = (values - values.mean()) / (values.var(unbiased=False) + norm.norm.eps).sqrt()
            torch.testing.assert_close(out[:, c, :, v].view(4, 2, 6), expected)


def test_what_was_not_found_is_zero() -> None:
    norm = JointNorm(2, 3).eval()
    norm.norm.bias.data.fill_(1)
    found = torch.rand(2, 1, 5, 3) < 0.5
    out = norm(torch.randn(2, 1, 5, 3, 2), found).permute(0, 2, 3, 1)[:, None]
    torch.testing.assert_close((out != 0).any(-1), found)
