from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from pcan_pose.models.graph_conv import SpatialGraphConv
from pcan_pose.models.pose_encoder import PoseBlock, PoseEncoder
from pcan_pose.skeleton import adjacency, skeleton

MATRIX = adjacency(skeleton("kinect20"), normalise=True)


def encoder(**changes: object) -> PoseEncoder:
    settings = {"widths": (8, 16), "depths": (2, 1), "temporal_kernel": 3} | changes
    return PoseEncoder(7, MATRIX, **settings)


def batch(clips: int = 3, persons: int = 2, frames: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.rand(clips, persons, frames, 20) < 0.8
    return torch.randn(clips, persons, frames, 20, 7), found


@contextmanager
def recorded(module: nn.Module) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """Record what goes into and comes out of every stem and block."""
    seen: list[tuple[str, torch.Tensor]] = []
    hooks = [
        child.register_forward_hook(lambda _, x, y, name=name: seen.extend([(f"{name} in", x[0]), (f"{name} out", y)]))
        for name, child in module.named_modules()
        if name == "stem" or name.startswith("blocks.")
    ]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize(("persons", "frames"), [(1, 8), (2, 13), (1, 1)])
def test_shape(stem_stride: int, persons: int, frames: int) -> None:
    network = encoder(stem_stride=stem_stride)
    assert network(*batch(4, persons, frames)).shape == (4, network.out_features) == (4, 16)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_no_layer_copies_a_layout(groups: int, training: bool) -> None:
    network = encoder(groups=groups).train(training)
    with recorded(network) as seen:
        network(*batch())
    assert {"stem in", "blocks.0 in", "blocks.0.spatial out", "blocks.0.temporal.layers.3 in", "blocks.2 out"} <= {
        name for name, _ in seen
    }
    # The linear map inside a graph convolution sees the same memory as (B, T, V, C).
    formats = {
        name: torch.contiguous_format if ".linear" in name else torch.channels_last for name, x in seen if x.ndim == 4
    }
    assert [name for name, x in seen if name in formats and not x.is_contiguous(memory_format=formats[name])] == []
    kernels = [weight for weight in network.parameters() if weight.ndim == 4 and weight.shape[2] > 1]
    assert kernels and all(weight.is_contiguous(memory_format=torch.channels_last) for weight in kernels)


def test_the_input_is_not_copied_on_its_way_to_the_stem() -> None:
    network = encoder()
    with recorded(network) as seen:
        network(*batch(2, 1, 8))
    stem = dict(seen)["stem in"]
    assert stem.shape == (2, 7, 8, 20)
    assert stem.stride() == (8 * 20 * 7, 1, 20 * 7, 7)


def test_time_is_halved_in_the_stem_and_between_stages() -> None:
    network = encoder(widths=(8, 16, 16), depths=(1, 2, 1))
    with recorded(network) as seen:
        network(*batch(frames=16))
    outputs = dict(seen)
    assert outputs["stem out"].shape[2] == 8
    assert [outputs[f"blocks.{i} out"].shape[1:3] for i in range(4)] == [(8, 8), (16, 4), (16, 4), (16, 2)]


def test_clips_are_independent_in_evaluation() -> None:
    network = encoder()
    x, found = batch(5)
    network(x, found)  # running statistics of its own
    network.eval()
    whole = network(x, found)
    for n in range(5):
        torch.testing.assert_close(network(x[n : n + 1], found[n : n + 1]), whole[n : n + 1], rtol=1e-4, atol=1e-5)


def test_persons_may_come_in_any_order_and_absent_ones_do_not_count() -> None:
    network = encoder().eval()
    x, found = batch(2, 3)
    torch.testing.assert_close(network(x[:, [2, 0, 1]], found[:, [2, 0, 1]]), network(x, found), rtol=1e-4, atol=1e-5)
    found[:, 2] = False
    torch.testing.assert_close(network(x, found), network(x[:, :2], found[:, :2]), rtol=1e-4, atol=1e-5)


def test_coordinates_of_missing_joints_have_no_influence_in_evaluation() -> None:
    network = encoder().eval()
    x, found = batch()
    other = torch.where(found[..., None], x, torch.randn_like(x))
    torch.testing.assert_close(network(other, found), network(x, found))


def test_every_weight_gets_a_gradient() -> None:
    network = encoder(groups=2)
    network(*batch()).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_a_small_encoder_equals_its_layers_called_one_by_one() -> None:
    network = encoder(widths=(8,), depths=(1,), stem_stride=1).eval()
    x, _ = batch(2, 1, 5)
    found = torch.ones(2, 1, 5, 20, dtype=torch.bool)
    network.input_norm.running_mean.normal_()
    block: PoseBlock = network.blocks[0]
    flat = x[:, 0]  # (N, T, V, C)
    scale = (network.input_norm.running_var + network.input_norm.eps).rsqrt().view(20, 7)
    flat = (flat - network.input_norm.running_mean.view(20, 7)) * scale
    features = network.stem(flat.permute(0, 3, 1, 2).contiguous())
    mixed = torch.einsum("nctv,oc,vw->notw", features, block.spatial.linear.weight, block.spatial.adjacency[0])
    mixed = block.norm(mixed).relu()
    mixed = (block.temporal(mixed) + features).relu()
    torch.testing.assert_close(network(x, found), mixed.mean((2, 3)), rtol=1e-4, atol=1e-5)


def test_the_spatial_operator_can_be_replaced() -> None:
    made = []

    def pointwise(in_channels: int, out_channels: int) -> nn.Module:
        made.append((in_channels, out_channels))
        return nn.Conv2d(in_channels, out_channels, 1)

    network = encoder(spatial=pointwise)
    assert made == [(8, 8), (8, 8), (8, 16)]
    assert not any(isinstance(module, SpatialGraphConv) for module in network.modules())
    assert network(*batch()).shape == (3, 16)
