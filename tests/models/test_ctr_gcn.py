import math

import pytest
import torch
from torch import nn

from pcan_pose.config import CTRGCNConfig, HeadConfig
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.ctr_gcn import CTRGCN, CTRGCNBlock, MultiScaleTemporalConv
from pcan_pose.models.recognizer import TrainingStep
from pcan_pose.skeleton import skeleton, spatial_partition
from pcan_pose.taxonomy import MA52

SUBSETS = spatial_partition(skeleton("kinect20"))


def past_the_start(network: CTRGCN) -> CTRGCN:
    """Return the network with its spatial convolutions switched on, which start at (nearly) nothing."""
    for block in network.blocks:
        block.spatial.alpha.data.fill_(0.5)
        block.spatial.norm.weight.data.fill_(1)
    return network


def batch(clips: int = 3, persons: int = 1, frames: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(clips, persons, frames, 20, 4), torch.rand(clips, persons, frames, 20) < 0.9


def test_the_published_networks_size() -> None:
    network = CTRGCN(3, torch.eye(25).repeat(3, 1, 1).numpy())
    own = sum(p.numel() for p in network.parameters())
    classifier = 60 * 256 + 60
    norm_of_the_second_person = 2 * 25 * 3
    assert own == 1_431_102
    assert own + classifier + norm_of_the_second_person == 1_446_672


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


def test_blocks_have_the_residuals_of_the_published_code() -> None:
    assert CTRGCNBlock(3, 8, SUBSETS, residual=False).residual is None
    assert isinstance(CTRGCNBlock(3, 8, SUBSETS, residual=False).spatial.residual, nn.Sequential)
    assert isinstance(CTRGCNBlock(8, 8, SUBSETS).residual, nn.Identity)
    assert isinstance(CTRGCNBlock(8, 16, SUBSETS, 2).residual, nn.Sequential)
    block = CTRGCNBlock(8, 8, SUBSETS, residual=True).eval()
    x = torch.randn(2, 8, 6, 20)
    torch.testing.assert_close(block(x), (block.temporal(block.spatial(x)) + x).relu())


@pytest.mark.parametrize("frames", [8, 13])
def test_network_shape_and_stages(frames: int) -> None:
    network = CTRGCN(4, SUBSETS, base_channels=8)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, x, y: shapes.append(tuple(y.shape[1:3])))
    x, found = batch(2, 2, frames)
    out = network(x, found)
    half, quarter = -(-frames // 2), -(-frames // 4)
    assert shapes == [(8, frames)] * 4 + [(16, half)] * 3 + [(32, quarter)] * 3
    assert out.shape == (2, network.out_features) == (2, 32)
    assert network.features(x, found).shape == (4, 32, quarter, 20)


def test_every_weight_gets_a_gradient() -> None:
    network = past_the_start(CTRGCN(4, SUBSETS, base_channels=8)).double()
    x, found = batch()
    network(x.double(), found).square().sum().backward()
    # The bias of a convolution in front of a batch norm has no effect.
    weights = [(name, p) for name, p in network.named_parameters() if p.ndim > 1 or "alpha" in name]
    assert [name for name, p in weights if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_clips_are_independent_in_evaluation() -> None:
    network = past_the_start(CTRGCN(4, SUBSETS, base_channels=8)).double()
    x, found = batch(5)
    x = x.double()
    network(x, found)  # running statistics of its own
    network.eval()
    whole = network(x, found)
    for n in range(5):
        torch.testing.assert_close(network(x[n : n + 1], found[n : n + 1]), whole[n : n + 1])


def test_missing_joints_and_persons_have_no_influence_in_evaluation() -> None:
    network = past_the_start(CTRGCN(4, SUBSETS, base_channels=8)).eval()
    x, found = batch(2, 3)
    found[:, 2] = False
    other = torch.where(found[..., None], x, torch.randn_like(x))
    torch.testing.assert_close(network(other, found), network(x, found))
    torch.testing.assert_close(network(x, found), network(x[:, :2], found[:, :2]), rtol=1e-4, atol=1e-5)


def test_it_is_built_from_a_configuration() -> None:
    recognizer = build_recognizer(
        CTRGCNConfig(type="ctr-gcn", base_channels=8),
        HeadConfig(action_embedding=6, body_embedding=4),
        skeleton=skeleton("kinect20"),
        in_channels=4,
        taxonomy=MA52,
        precision=torch.bfloat16,
    )
    assert isinstance(recognizer.encoder, CTRGCN)
    assert recognizer.encoder.out_features == 32
    assert recognizer(*batch()).action_logits.shape == (3, 52)
    TrainingStep(recognizer)(*batch(), actions=torch.tensor([0, 20, 51]))["loss"].backward()
    assert [name for name, p in recognizer.named_parameters() if p.requires_grad and p.grad is None] == []
    torch.testing.assert_close(recognizer.encoder.blocks[9].spatial.subsets.detach(), torch.from_numpy(SUBSETS))
