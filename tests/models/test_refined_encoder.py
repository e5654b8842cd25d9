import pytest
import torch
from encoder_checks import assert_clips_are_independent, assert_what_is_missing_has_no_influence
from torch import nn

from pcan_pose.config import HeadConfig, RefinedEncoderConfig
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.recognizer import TrainingStep
from pcan_pose.models.refined_encoder import RefinedBlock, RefinedEncoder, RefinedGraphConv
from pcan_pose.skeleton import adjacency, skeleton
from pcan_pose.taxonomy import MA52

MATRIX = adjacency(skeleton("kinect20"), normalise=True)


def encoder(**changes: object) -> RefinedEncoder:
    """Return a small encoder that refines, which a new one does not."""
    network = RefinedEncoder(4, MATRIX, **({"widths": (8, 16), "depths": (2, 1)} | changes))
    for block in network.blocks:
        block.spatial.topology.alpha.data.fill_(0.5)
    return network


def batch(clips: int = 3, persons: int = 2, frames: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.rand(clips, persons, frames, 20) < 0.9
    return torch.randn(clips, persons, frames, 20, 4), found


def test_it_has_a_third_of_the_weights_of_ctr_gcn() -> None:
    assert sum(p.numel() for p in RefinedEncoder(4, MATRIX).parameters()) == 522_263


def test_a_graph_convolution_mixes_each_channel_by_its_own_topology() -> None:
    conv = RefinedGraphConv(3, 5, MATRIX).double()
    conv.topology.alpha.data.fill_(0.7)
    conv.value.bias.data.normal_()
    x = torch.randn(2, 3, 4, 20, dtype=torch.float64)
    there = (torch.rand(2, 1, 4, 20) < 0.7).double()
    topology = conv.topology(x, there)[0].view(2, 5, 20, 20)
    values = torch.einsum("oc,nctv->notv", conv.value.weight[:, :, 0, 0], x) + conv.value.bias[:, None, None]
    torch.testing.assert_close(conv(x, there), torch.einsum("nctv,ncvu->nctu", values, topology))


def test_a_graph_convolution_starts_with_the_skeletons_adjacency() -> None:
    conv = RefinedGraphConv(3, 5, MATRIX)
    x = torch.randn(2, 3, 4, 20)
    mixed = torch.einsum("oc,nctv,uv->notu", conv.value.weight[:, :, 0, 0], x, torch.from_numpy(MATRIX))
    torch.testing.assert_close(conv(x, torch.ones(2, 1, 4, 20)), mixed)


def test_a_block_has_one_residual_connection_around_both_convolutions() -> None:
    block = RefinedBlock(8, 8, MATRIX).eval()
    x, there = torch.randn(2, 8, 6, 20), torch.ones(2, 1, 6, 20)
    mixed = block.norm(block.spatial(x, there)).relu()
    torch.testing.assert_close(block(x, there), (block.temporal(mixed) + x).relu())
    wider = RefinedBlock(8, 16, MATRIX, 2).eval()
    mixed = wider.norm(wider.spatial(x, there)).relu()
    torch.testing.assert_close(wider(x, there), (wider.temporal(mixed) + wider.residual(x)).relu())


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("frames", [8, 13])
def test_shape_and_stages(frames: int, stem_stride: int) -> None:
    network = encoder(widths=(8, 16, 32), depths=(1, 2, 1), stem_stride=stem_stride)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, x, y: shapes.append(tuple(y.shape[1:3])))
    x, found = batch(2, 2, frames)
    out = network(x, found)
    first = -(-frames // stem_stride)
    half, quarter = -(-first // 2), -(-first // 4)
    assert shapes == [(8, first)] + [(16, half)] * 2 + [(32, quarter)]
    assert out.shape == (2, network.out_features) == (2, 32)
    assert network.features(x, found).shape == (4, 32, quarter, 20)


def test_no_layer_copies_a_layout() -> None:
    network = encoder()
    seen = []
    for module in (network.stem, *network.blocks, *(block.spatial for block in network.blocks)):
        module.register_forward_hook(lambda _, x, y: seen.extend((x[0], y)))
    network(*batch())
    assert len(seen) == 14
    assert all(x.is_contiguous() for x in seen)


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_the_graph_follows_the_frames_that_a_clip_has(stem_stride: int) -> None:
    network = encoder(widths=(8, 16), depths=(1, 2), stem_stride=stem_stride).eval()
    seen: list[torch.Tensor] = []
    for block in network.blocks:
        block.spatial.topology.register_forward_hook(lambda _, inputs, out: seen.extend(inputs))
    x, found = batch(2, 1, 16)
    found[:] = True
    found[:, :, 8:] = False  # as a short clip is padded
    network(x, found)
    for features, there in zip(seen[::2], seen[1::2], strict=True):
        frames = features.shape[2]
        assert there.shape == (2, 1, frames, 20)
        assert there[:, :, : frames // 2].all() and not there[:, :, frames // 2 :].any()


def test_every_weight_gets_a_gradient() -> None:
    network = encoder().double()
    x, found = batch()
    network(x.double(), found).square().sum().backward()
    # The bias of a convolution in front of a batch norm has no effect.
    weights = [(name, p) for name, p in network.named_parameters() if p.ndim > 1 or "alpha" in name]
    assert [name for name, p in weights if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_clips_are_independent_in_evaluation() -> None:
    assert_clips_are_independent(encoder().double(), *batch(5))


def test_missing_joints_and_persons_have_no_influence_in_evaluation() -> None:
    assert_what_is_missing_has_no_influence(encoder().eval(), *batch(2, 3))


def test_it_is_built_from_a_configuration() -> None:
    recognizer = build_recognizer(
        RefinedEncoderConfig(type="refined", widths=(8, 12), depths=(2, 1), stem_stride=2),
        HeadConfig(action_embedding=6, body_embedding=4),
        skeleton=skeleton("kinect20"),
        in_channels=4,
        taxonomy=MA52,
        precision=torch.bfloat16,
    )
    network = recognizer.encoder
    assert isinstance(network, RefinedEncoder)
    assert (network.out_features, len(network.blocks), network.stem[0].stride) == (12, 3, (2, 1))
    assert isinstance(network.blocks[0].residual, nn.Identity)
    assert recognizer(*batch()).action_logits.shape == (3, 52)
    TrainingStep(recognizer)(*batch(), actions=torch.tensor([0, 20, 51]))["loss"].backward()
    assert [name for name, p in recognizer.named_parameters() if p.requires_grad and p.grad is None] == []
    torch.testing.assert_close(network.blocks[2].spatial.topology.subsets[0].detach(), torch.from_numpy(MATRIX))
