import pytest
import torch
import torch.nn.functional as F

from pcan_pose.models.temporal_conv import BottleneckTemporalConv


@pytest.mark.parametrize(("frames", "stride", "out"), [(8, 1, 8), (8, 2, 4), (9, 2, 5), (1, 2, 1)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_shape(frames: int, stride: int, out: int, kernel: int) -> None:
    conv = BottleneckTemporalConv(8, kernel, stride)
    assert conv(torch.randn(2, 8, frames, 5)).shape == (2, 8, out, 5)


def test_equals_a_naive_loop() -> None:
    conv = BottleneckTemporalConv(4, 3, stride=2, reduction=2).eval()
    down, down_norm, _, over, over_norm, _, up, up_norm = conv.layers
    for norm in (down_norm, over_norm, up_norm):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 4, 7, 3)

    def normed(values: torch.Tensor, norm: torch.nn.BatchNorm2d) -> torch.Tensor:
        return (values - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias

    expected = torch.zeros(2, 4, 4, 3)
    with torch.no_grad():
        for n in range(2):
            for v in range(3):
                low = [F.relu(normed(down.weight[:, :, 0, 0] @ x[n, :, t, v], down_norm)) for t in range(7)]
                for t in range(4):
                    total = torch.zeros(2)
                    for k in range(3):
                        source = 2 * t + k - 1
                        if 0 <= source < 7:
                            total += over.weight[:, :, k, 0] @ low[source]
                    expected[n, :, t, v] = normed(up.weight[:, :, 0, 0] @ F.relu(normed(total, over_norm)), up_norm)
        torch.testing.assert_close(conv(x), expected, rtol=1e-4, atol=1e-5)


def test_clips_and_joints_are_independent_in_evaluation() -> None:
    conv = BottleneckTemporalConv(8, 5).eval()
    x = torch.randn(3, 8, 6, 5)
    torch.testing.assert_close(conv(x)[1:2, :, :, 2:3], conv(x[1:2, :, :, 2:3]), rtol=1e-5, atol=1e-6)


def test_every_weight_gets_a_gradient() -> None:
    conv = BottleneckTemporalConv(8, 5)
    conv(torch.randn(2, 8, 6, 5)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in conv.parameters())


@pytest.mark.parametrize("stride", [1, 2])
def test_channels_stay_last_in_memory(stride: int) -> None:
    conv = BottleneckTemporalConv(16, 5, stride).to(memory_format=torch.channels_last)
    x = torch.randn(2, 16, 6, 5).contiguous(memory_format=torch.channels_last)
    assert conv(x).is_contiguous(memory_format=torch.channels_last)
