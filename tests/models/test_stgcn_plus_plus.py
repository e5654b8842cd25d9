import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pcan_pose.models.stgcn_plus_plus import (
    MultiBranchTemporalConv,
    STGCNPlusPlus,
    STGCNPlusPlusBlock,
    SubsetGraphConv,
)
from pcan_pose.skeleton import skeleton, spatial_partition

LAYOUT = skeleton("kinect20")
SUBSETS = spatial_partition(LAYOUT)


def test_the_partition_is_self_towards_the_root_and_away() -> None:
    for v in range(20):
        for w in range(20):
            children = sum(parent == w for _, parent in LAYOUT.bones)
            assert SUBSETS[0, v, w] == (v == w)
            assert SUBSETS[1, v, w] == pytest.approx(1 / children if (v, w) in LAYOUT.bones else 0)
            assert SUBSETS[2, v, w] == (1 if (w, v) in LAYOUT.bones else 0)


def test_subset_conv_equals_a_naive_sum_over_subsets() -> None:
    conv = SubsetGraphConv(3, 4, SUBSETS).eval()
    x = torch.randn(2, 3, 5, 20)
    with torch.no_grad():
        total = torch.zeros(2, 4, 5, 20)
        for k in range(3):
            weight, bias = conv.conv.weight[4 * k : 4 * k + 4, :, 0, 0], conv.conv.bias[4 * k : 4 * k + 4]
            part = torch.einsum("oc,nctv->notv", weight, x) + bias[:, None, None]
            total += part @ torch.from_numpy(SUBSETS[k])
        torch.testing.assert_close(conv(x), (conv.norm(total) + conv.residual(x)).relu(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [12, 64, 16])
@pytest.mark.parametrize(("frames", "stride", "out"), [(8, 1, 8), (8, 2, 4), (9, 2, 5)])
def test_temporal_branches_share_all_channels(channels: int, frames: int, stride: int, out: int) -> None:
    conv = MultiBranchTemporalConv(channels, stride)
    assert len(conv.branches) == 6
    assert conv(torch.randn(2, channels, frames, 5)).shape == (2, channels, out, 5)


@pytest.mark.parametrize(("branch", "reach"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 1), (5, 0)])
def test_each_temporal_branch_reaches_as_far_as_its_dilation(branch: int, reach: int) -> None:
    conv = MultiBranchTemporalConv(12).double().eval()
    x = torch.randn(1, 12, 15, 1, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 7] += 5
    moved = (conv.branches[branch](x) != conv.branches[branch](changed)).any(1).flatten().nonzero().flatten().tolist()
    assert set(moved) <= ({7 - reach, 7, 7 + reach} if branch < 4 else set(range(7 - reach, 8 + reach)))
    assert moved


def test_blocks_without_a_residual_have_none() -> None:
    assert STGCNPlusPlusBlock(3, 12, SUBSETS, residual=False).residual is None
    assert isinstance(STGCNPlusPlusBlock(12, 12, SUBSETS).residual, torch.nn.Identity)
    assert isinstance(STGCNPlusPlusBlock(12, 24, SUBSETS, 2).residual, torch.nn.Sequential)


@pytest.mark.parametrize("frames", [8, 13])
def test_network_shape_and_stages(frames: int) -> None:
    network = STGCNPlusPlus(7, SUBSETS, base_channels=12)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, x, y: shapes.append(tuple(y.shape[1:3])))
    out = network(torch.randn(2, 2, frames, 20, 7), torch.ones(2, 2, frames, 20, dtype=torch.bool))
    half, quarter = -(-frames // 2), -(-frames // 4)
    assert shapes == [(12, frames)] * 4 + [(24, half)] * 3 + [(48, quarter)] * 3
    assert out.shape == (2, network.out_features) == (2, 48)


def test_the_published_networks_size() -> None:
    # On 25 joints with 3 channels, as published, the classifier of 60 actions aside (15,420).
    network = STGCNPlusPlus(3, torch.eye(25).repeat(3, 1, 1).numpy())
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_387_724


def test_clips_are_independent_in_evaluation_and_every_weight_gets_a_gradient() -> None:
    network = STGCNPlusPlus(4, SUBSETS, base_channels=12)
    x, found = torch.randn(3, 1, 8, 20, 4), torch.rand(3, 1, 8, 20) < 0.9
    network(x, found).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    network.eval()
    torch.testing.assert_close(network(x[1:2], found[1:2]), network(x, found)[1:2], rtol=1e-4, atol=1e-5)


def test_it_asks_as_much_of_the_machine_as_the_authors_code() -> None:
    # What `python -m benchmarks.peer` counts in PYSKL's own network: coco17, one stream, 64 frames.
    network = STGCNPlusPlus(3, spatial_partition(skeleton("coco17"))).eval()
    assert sum(weight.numel() for weight in network.parameters()) == 1_377_596
    x = torch.zeros(1, 1, 64, 17, 3)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.features(x, torch.ones(x.shape[:-1], dtype=torch.bool))
    assert counter.get_total_flops() == 1_232_856_320
