import pytest
import torch
from encoder_checks import assert_clips_are_independent, assert_what_is_missing_has_no_influence
from torch import nn

from pcan_pose.config import CTRGCNConfig, HeadConfig
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.ctr_gcn import CTRGCN, CTRGCNBlock
from pcan_pose.models.recognizer import TrainingStep
from pcan_pose.skeleton import skeleton, spatial_partition
from pcan_pose.taxonomy import MA52

SUBSETS = spatial_partition(skeleton("kinect20"))


def past_the_start(network: CTRGCN) -> CTRGCN:
    """Return the network with its spatial convolutions switched on, which start at (nearly) nothing."""
    for block in network.blocks:
        block.spatial.topologies.alpha.data.fill_(0.5)
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
    assert_clips_are_independent(past_the_start(CTRGCN(4, SUBSETS, base_channels=8)).double(), *batch(5))


def test_missing_joints_and_persons_have_no_influence_in_evaluation() -> None:
    assert_what_is_missing_has_no_influence(past_the_start(CTRGCN(4, SUBSETS, base_channels=8)).eval(), *batch(2, 3))


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
    torch.testing.assert_close(
        recognizer.encoder.blocks[9].spatial.topologies.subsets.detach(), torch.from_numpy(SUBSETS)
    )
