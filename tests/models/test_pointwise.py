import pytest
import torch
from torch import nn

from pcan_pose.models.pointwise import PointwiseConv, channel_product


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


def test_under_autocast_the_weights_are_rounded_once_and_not_for_each_clip() -> None:
    weight, bias = torch.randn(6, 5).requires_grad_(), torch.randn(6).requires_grad_()
    x = torch.randn(4, 5, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16), torch.profiler.profile(record_shapes=True) as profiled:
        out = channel_product(weight, bias, x)
        out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert weight.grad is not None and weight.grad.dtype == torch.float32
    converted = [event.input_shapes[0] for event in profiled.events() if event.name == "aten::_to_copy"]
    assert converted and [4, 6, 5] not in converted
    expected = torch.einsum("oc,ncl->nol", weight.bfloat16(), x) + bias.bfloat16()[:, None]
    torch.testing.assert_close(out, expected, rtol=0.02, atol=0.05)
