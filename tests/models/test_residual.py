import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pcan_pose.models.residual import Residual


def test_is_the_input_where_the_shape_stays() -> None:
    x = torch.randn(2, 4, 5, 3)
    assert Residual(4, 4)(x) is x


@pytest.mark.parametrize(("out_channels", "stride"), [(6, 1), (6, 2), (4, 2), (6, 3)])
def test_equals_a_strided_convolution(out_channels: int, stride: int) -> None:
    torch.manual_seed(0)
    residual = Residual(4, out_channels, stride).eval()
    assert isinstance(residual.project, nn.Sequential)
    conv, norm = residual.project
    norm.running_mean.normal_()
    x = torch.randn(2, 4, 5, 3).to(memory_format=torch.channels_last)
    expected = norm(F.conv2d(x, conv.weight, stride=(stride, 1)))
    torch.testing.assert_close(residual(x), expected)
    assert residual(x).is_contiguous(memory_format=torch.channels_last)


def test_trains_in_bfloat16_at_the_sizes_at_which_torch_s_strided_convolution_breaks_the_heap() -> None:
    residual = Residual(8, 16, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for _ in range(20):
        x = torch.randn(8, 8, 4, 17).to(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = residual(x)
        out.float().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
