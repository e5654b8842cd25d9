import math

import pytest
import torch

from pcan_pose.models.channel_topology import ChannelTopology

SUBSETS = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(1)).numpy()


def switched_on(in_channels: int = 3, out_channels: int = 5) -> ChannelTopology:
    """Return a topology that refines."""
    topology = ChannelTopology(in_channels, out_channels, SUBSETS).double()
    topology.alpha.data.fill_(0.7)
    for layer in (topology.theta, topology.phi, topology.lift):
        layer.bias.data.normal_()
    return topology


@pytest.mark.parametrize(
    ("channels", "relations"), [(3, 8), (9, 8), (64, 8), (128, 16), (256, 32)], ids=lambda value: str(value)
)
def test_relation_channels_are_those_of_the_published_code(channels: int, relations: int) -> None:
    topology = ChannelTopology(channels, 8, SUBSETS)
    assert topology.theta.weight.shape == topology.phi.weight.shape == (3 * relations, channels, 1)
    assert topology.lift.weight.shape == (3 * 8, relations, 1, 1)


def test_it_starts_as_the_shared_adjacency() -> None:
    topology = ChannelTopology(6, 5, SUBSETS)
    for refined, subset in zip(topology(torch.randn(2, 6, 3, 4)), torch.from_numpy(SUBSETS), strict=True):
        torch.testing.assert_close(refined, subset.T.expand(10, 4, 4))  # [v, u]


def test_each_entry_is_the_adjacency_and_what_the_two_joints_say() -> None:
    topology = switched_on()
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64)
    theta, phi = (  # the maps first, their means over time after: (B, K, R, V)
        layer(x.flatten(2)).view(2, 3, 8, 6, 4).mean(3) for layer in (topology.theta, topology.phi)
    )
    for k, refined in enumerate(topology(x)):
        refined = refined.view(2, 5, 4, 4)
        for b in range(2):
            for c in range(5):
                row = k * 5 + c
                weight, bias = topology.lift.weight[row, :, 0, 0], topology.lift.bias[row]
                for u in range(4):
                    for v in range(4):
                        lifted = weight @ torch.tanh(theta[b, k, :, u] - phi[b, k, :, v]) + bias
                        expected = topology.subsets[k, u, v] + 0.7 * lifted
                        torch.testing.assert_close(refined[b, c, v, u], expected)


def test_frames_without_a_joint_do_not_speak() -> None:
    topology = switched_on()
    x, there = torch.randn(2, 3, 6, 4, dtype=torch.float64), torch.ones(2, 1, 6, 4, dtype=torch.float64)
    there[:, :, 4:] = 0
    for whole, masked, short in zip(topology(x), topology(x, there), topology(x[:, :, :4]), strict=True):
        torch.testing.assert_close(masked, short)
        assert not torch.allclose(masked, whole)
    there[1] = 0  # nobody there
    for nobody in topology(x, there):
        assert nobody.isfinite().all()


def test_clips_do_not_share_it() -> None:
    topology = switched_on()
    x = torch.randn(3, 3, 6, 4, dtype=torch.float64)
    for whole, alone in zip(topology(x), topology(x[1:2]), strict=True):
        first, second, _ = whole.view(3, 5, 4, 4)
        torch.testing.assert_close(alone, second)
        assert not torch.allclose(first, second)


def test_weights_start_with_kaimings_variance_of_one_subset() -> None:
    topology = ChannelTopology(128, 96, SUBSETS)
    for layer, fan_out in ((topology.theta, 16), (topology.phi, 16), (topology.lift, 96)):
        assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
        assert not layer.bias.any()


def test_the_adjacency_at_start_is_a_copy() -> None:
    before = SUBSETS.copy()
    topology = ChannelTopology(3, 4, SUBSETS)
    topology.subsets.data.zero_()
    assert (before == SUBSETS).all()
