import math

import pytest
import torch

from pcan_pose.models.channel_refinement import ChannelRefinedGraphConv

SUBSETS = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(1)).numpy()


def refined(in_channels: int = 3, out_channels: int = 5) -> ChannelRefinedGraphConv:
    """Return a convolution that is past its start: it refines, and its norm is not tiny."""
    conv = ChannelRefinedGraphConv(in_channels, out_channels, SUBSETS).double()
    conv.topologies.alpha.data.fill_(0.7)
    for module in conv.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.normal_(1, 0.2)
            module.running_mean.normal_()
        elif isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d):
            module.bias.data.normal_()
    return conv


@pytest.mark.parametrize(("in_channels", "out_channels"), [(3, 5), (4, 4)])
def test_it_equals_the_sum_over_subsets_channels_and_pairs_of_joints(in_channels: int, out_channels: int) -> None:
    conv = refined(in_channels, out_channels).eval()
    x = torch.randn(2, in_channels, 3, 4, dtype=torch.float64)
    mixed = torch.zeros(2, out_channels, 3, 4, dtype=torch.float64)
    for k, topology in enumerate(conv.topologies(x)):
        topology = topology.view(2, out_channels, 4, 4)
        for b in range(2):
            for c in range(out_channels):
                row = k * out_channels + c
                value = torch.einsum("c,ctv->tv", conv.value.weight[row, :, 0, 0], x[b]) + conv.value.bias[row]
                for u in range(4):
                    for v in range(4):
                        mixed[b, c, :, u] += topology[b, c, v, u] * value[:, v]
    torch.testing.assert_close(conv(x), (conv.norm(mixed) + conv.residual(x)).relu())


def test_it_starts_as_its_residual() -> None:
    conv = ChannelRefinedGraphConv(16, 16, SUBSETS)
    x = torch.randn(2, 16, 6, 4)
    torch.testing.assert_close(conv(x), x.relu(), rtol=0, atol=1e-4)


def test_weights_start_with_kaimings_variance_of_one_subset() -> None:
    conv = ChannelRefinedGraphConv(128, 96, SUBSETS)
    assert float(conv.value.weight.detach().std()) == pytest.approx(math.sqrt(2 / 96), rel=0.05)
    assert not conv.value.bias.any()


def test_clips_do_not_share_their_topology() -> None:
    conv = refined(4, 4).eval()
    x = torch.randn(3, 4, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(conv(x[1:2]), conv(x)[1:2])


def test_every_weight_gets_a_gradient_once_the_refinement_is_on() -> None:
    conv = refined()
    conv(torch.randn(2, 3, 6, 4, dtype=torch.float64)).square().sum().backward()
    # A constant in front of a batch norm has no effect.
    gradients = {name: p.grad for name, p in conv.named_parameters() if name != "residual.0.bias"}
    assert [name for name, grad in gradients.items() if grad is None or not grad.abs().sum() > 0] == []
