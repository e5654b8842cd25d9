import pytest
import torch
from torch import nn

from pcan_pose.models.pointwise import PointwiseConv


@pytest.mark.parametrize(("frames", "stride"), [(6, 1), (6, 2), (7, 2)])
def test_it_equals_a_convolution_in_values_and_gradients(frames: int, stride: int) -> None:
    own = PointwiseConv(5, 7, stride).double()
    usual = nn.Conv2d(5, 7, 1, (stride, 1)).double()
    usual.load_state_dict(own.state_dict())
    x = torch.randn(3, 5, frames, 4, dtype=torch.float64)
    results = []
    for conv in (own, usual):
        given = x.clone().requires_grad_()
        out = conv(given)
        out.pow(3).sum().backward()
        results.append([out.detach(), given.grad, conv.weight.grad, conv.bias.grad])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected)
