import numpy as np
import pytest
import torch
from encoder_checks import assert_clips_are_independent, assert_what_is_missing_has_no_influence
from torch import nn

from pcan_pose.config import HeadConfig, STGCNConfig
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.recognizer import TrainingStep
from pcan_pose.models.st_gcn import STGCN, EdgeWeightedGraphConv, STGCNBlock, shared_normalisation
from pcan_pose.skeleton import skeleton, spatial_partition
from pcan_pose.taxonomy import MA52

LAYOUT = skeleton("kinect20")
SUBSETS = spatial_partition(LAYOUT)


def batch(clips: int = 3, persons: int = 1, frames: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(clips, persons, frames, 20, 4), torch.rand(clips, persons, frames, 20) < 0.9


def test_the_published_networks_size() -> None:
    network = STGCN(3, torch.eye(25).repeat(3, 1, 1).numpy())
    own = sum(p.numel() for p in network.parameters())
    assert own == 3_083_412
    assert own + 60 * 256 + 60 == 3_098_832


def test_all_subsets_together_are_normalised_by_the_degree() -> None:
    subsets = shared_normalisation(SUBSETS)
    assert subsets.dtype == np.float32
    for w in range(20):
        near = [v for v in range(20) if v == w or (v, w) in LAYOUT.bones or (w, v) in LAYOUT.bones]
        for v in range(20):
            assert subsets[:, v, w].sum() == pytest.approx(1 / len(near) if v in near else 0)
    assert ((subsets != 0) == (SUBSETS != 0)).all()
    one_way = np.float32([[[1, 0], [0, 1]], [[0, 3], [0, 0]]])
    assert shared_normalisation(one_way).tolist() == [[[1, 0], [0, 0.5]], [[0, 0.5], [0, 0]]]
    assert not shared_normalisation(np.zeros((3, 2, 2), np.float32)).any()


def test_the_graph_convolution_equals_the_sum_over_subsets_and_pairs_of_joints() -> None:
    subsets = torch.rand(3, 4, 4).numpy()
    conv = EdgeWeightedGraphConv(2, 3, subsets).double()
    conv.importance.data.normal_()
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64)
    expected = torch.zeros(2, 3, 5, 4, dtype=torch.float64)
    for k in range(3):
        weight, bias = conv.conv.weight[3 * k : 3 * k + 3, :, 0, 0], conv.conv.bias[3 * k : 3 * k + 3]
        part = torch.einsum("oc,nctv->notv", weight, x) + bias[:, None, None]
        for v in range(4):
            for w in range(4):
                expected[..., w] += part[..., v] * float(subsets[k, v, w]) * conv.importance[k, v, w]
    torch.testing.assert_close(conv(x), expected)


def test_edges_start_equally_important_and_only_their_importance_is_trained() -> None:
    conv = EdgeWeightedGraphConv(2, 3, SUBSETS)
    assert {name for name, _ in conv.named_parameters()} == {"importance", "conv.weight", "conv.bias"}
    assert (conv.importance == 1).all()
    assert "subsets" in conv.state_dict()


def test_the_temporal_convolution_spans_nine_frames() -> None:
    block = STGCNBlock(4, 4, SUBSETS, residual=False).double().eval()
    x = torch.randn(4, 4, 15, 20, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 7] += 5
    moved = (block(x) != block(changed)).any(3).any(1).any(0).nonzero().flatten()
    assert moved.tolist() == list(range(3, 12))


def test_a_block_equals_its_layers_called_one_by_one() -> None:
    block = STGCNBlock(4, 8, SUBSETS, 2).eval()
    x = torch.randn(2, 4, 7, 20)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    first, _, conv, second, _ = block.temporal
    expected = second(conv(first(block.spatial(x)).relu())) + block.residual(x)
    torch.testing.assert_close(block(x), expected.relu())
    assert block(x).shape == (2, 8, 4, 20)


def test_blocks_have_the_residuals_of_the_published_code() -> None:
    assert STGCNBlock(3, 8, SUBSETS, residual=False).residual is None
    assert isinstance(STGCNBlock(8, 8, SUBSETS).residual, nn.Identity)
    assert isinstance(STGCNBlock(8, 16, SUBSETS, 2).residual, nn.Sequential)


@pytest.mark.parametrize("frames", [8, 13])
def test_network_shape_and_stages(frames: int) -> None:
    network = STGCN(4, SUBSETS, base_channels=8)
    shapes = []
    for block in network.blocks:
        block.register_forward_hook(lambda _, x, y: shapes.append(tuple(y.shape[1:3])))
    x, found = batch(2, 2, frames)
    out = network(x, found)
    half, quarter = -(-frames // 2), -(-frames // 4)
    assert shapes == [(8, frames)] * 4 + [(16, half)] * 3 + [(32, quarter)] * 3
    assert out.shape == (2, network.out_features) == (2, 32)
    assert network.features(x, found).shape == (4, 32, quarter, 20)


def test_dropout_is_for_every_block_but_the_first_and_for_training_alone() -> None:
    network = STGCN(4, SUBSETS, base_channels=8, dropout=0.4)
    assert [block.temporal[-1].p for block in network.blocks] == [0.0] + [0.4] * 9
    assert all(block.temporal[-1].p == 0 for block in STGCN(4, SUBSETS, base_channels=8).blocks)
    x, found = batch()
    assert not torch.equal(network(x, found), network(x, found))
    network.eval()
    assert torch.equal(network(x, found), network(x, found))


def test_every_weight_gets_a_gradient() -> None:
    network = STGCN(4, SUBSETS, base_channels=8).double()
    x, found = batch()
    network(x.double(), found).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    # The bias of a convolution in front of a batch norm has no effect.
    assert [name for name, p in network.named_parameters() if p.ndim > 1 and not p.grad.abs().sum() > 0] == []


def test_clips_are_independent_in_evaluation() -> None:
    assert_clips_are_independent(STGCN(4, SUBSETS, base_channels=8).double(), *batch(5))


def test_missing_joints_and_persons_have_no_influence_in_evaluation() -> None:
    assert_what_is_missing_has_no_influence(STGCN(4, SUBSETS, base_channels=8).eval(), *batch(2, 3))


def test_it_is_built_from_a_configuration() -> None:
    recognizer = build_recognizer(
        STGCNConfig(type="st-gcn", base_channels=8, dropout=0.3),
        HeadConfig(action_embedding=6, body_embedding=4),
        skeleton=LAYOUT,
        in_channels=4,
        taxonomy=MA52,
        precision=torch.bfloat16,
    )
    encoder = recognizer.encoder
    assert isinstance(encoder, STGCN)
    assert encoder.out_features == 32
    assert encoder.blocks[1].temporal[-1].p == 0.3
    assert recognizer(*batch()).action_logits.shape == (3, 52)
    TrainingStep(recognizer)(*batch(), actions=torch.tensor([0, 20, 51]))["loss"].backward()
    assert [name for name, p in recognizer.named_parameters() if p.requires_grad and p.grad is None] == []
    torch.testing.assert_close(encoder.blocks[9].spatial.subsets, torch.from_numpy(shared_normalisation(SUBSETS)))
