import math

import pytest
import torch
from torch import nn

from pcan_pose.models.multi_scale_conv import MultiScaleTemporalConv, TemporalMaxPool


@pytest.mark.parametrize(("frames", "stride", "out"), [(8, 1, 8), (8, 2, 4), (9, 2, 5)])
def test_temporal_branches_share_all_channels(frames: int, stride: int, out: int) -> None:
    conv = MultiScaleTemporalConv(12, stride)
    x = torch.randn(2, 12, frames, 5)
    assert [branch(x[:, :3]).shape for branch in conv.branches] == [(2, 3, out, 5)] * 3
    assert conv.point(x).shape == (2, 3, out, 5)
    assert conv(x).shape == (2, 12, out, 5)


@pytest.mark.parametrize(
    ("branch", "reached"), [(0, range(-2, 3)), (1, range(-4, 5, 2)), (2, range(-1, 2)), (3, range(1))]
)
def test_each_temporal_branch_reaches_as_far_as_its_kernel_and_dilation(branch: int, reached: range) -> None:
    conv = MultiScaleTemporalConv(16).double().eval()
    x = torch.randn(4, 16, 15, 3, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 7] += 5 * torch.randn(4, 16, 3)
    own = slice(4 * branch, 4 * branch + 4)
    moved = (conv(x)[:, own] != conv(changed)[:, own]).any(3).any(1).any(0).nonzero().flatten()
    assert [int(frame) - 7 for frame in moved] == list(reached)


def test_temporal_conv_equals_its_branches_written_out() -> None:
    conv = MultiScaleTemporalConv(4, 2).double().eval()
    for module in conv.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
        elif isinstance(module, nn.Conv2d):
            module.bias.data.normal_()
    x = torch.randn(2, 4, 7, 3, dtype=torch.float64)
    out = conv(x)
    reduced = conv.reduce[1](
        torch.einsum("oc,nctv->notv", conv.reduce[0].weight[:, :, 0, 0], x) + conv.reduce[0].bias[:, None, None]
    ).relu()
    plain = torch.empty(2, 4, 4, 3, dtype=torch.float64)
    for row, dilation in enumerate((1, 2)):
        branch = conv.branches[row]
        kernel = branch.weight[0, 0, :, 0]
        for t in range(4):
            frames = [(2 * t + dilation * step, kernel[2 + step]) for step in range(-2, 3)]
            total = sum(weight * reduced[:, row, frame] for frame, weight in frames if 0 <= frame < 7)
            plain[:, row, t] = total + branch.bias[0]
    for t in range(4):
        plain[:, 2, t] = reduced[:, 2, max(0, 2 * t - 1) : 2 * t + 2].amax(1)
    plain[:, 3] = torch.einsum("c,nctv->ntv", conv.point.weight[0, :, 0, 0], x)[:, ::2] + conv.point.bias[0]
    torch.testing.assert_close(out, conv.norm(plain))


def test_weights_start_with_kaimings_variance_of_one_branch() -> None:
    conv = MultiScaleTemporalConv(256)
    assert float(conv.reduce[0].weight.detach().std()) == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert float(conv.point.weight.detach().std()) == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    for branch in conv.branches[:2]:
        assert float(branch.weight.detach().std()) == pytest.approx(math.sqrt(2 / (64 * 5)), rel=0.05)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_maximum_over_time_is_torchs_with_channels_last_in_memory(stride: int) -> None:
    x = torch.randn(2, 12, 9, 5).relu()[:, 4:8]  # as a branch sees it: ties at 0, and neighbours in memory
    results = []
    for pool in (TemporalMaxPool(stride), nn.MaxPool2d((3, 1), (stride, 1), (1, 0))):
        given = x.clone().requires_grad_()
        out = pool(given)
        out.pow(2).sum().backward()
        results.append((out.detach(), given.grad))
    torch.testing.assert_close(*results, rtol=0, atol=0)
    assert TemporalMaxPool(stride)(x).is_contiguous(memory_format=torch.channels_last)
