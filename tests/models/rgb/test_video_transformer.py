import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pcan_pose.errors import ConfigError
from pcan_pose.models.rgb.video_transformer import VideoTransformer

transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'pcan-pose[rgb]'")

FRAMES, SIZE, WIDTH, LAYERS = 4, 16, 12, 2
COMMON: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "patch_size": 8}
SIZED = COMMON | {"image_size": SIZE, "num_frames": FRAMES, "intermediate_size": 16}
KINDS = {
    "videomae": SIZED
    | {"decoder_hidden_size": 8, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 1, "tubelet_size": 2},
    "vjepa2": COMMON
    | {"crop_size": SIZE, "frames_per_clip": FRAMES, "pred_hidden_size": 12, "pred_num_hidden_layers": 1}
    | {"pred_num_attention_heads": 1, "pred_num_mask_tokens": 1, "mlp_ratio": 2},
    "timesformer": SIZED,
    "vivit": SIZED | {"tubelet_size": [2, 8, 8]},
}
TOKENS = {"videomae": 2 * 4, "vjepa2": 2 * 4, "timesformer": 1 + FRAMES * 4, "vivit": 1 + 2 * 4}


def save(folder: Path, kind: str, **changes: object) -> str:
    config = transformers.AutoConfig.for_model(kind, **(KINDS[kind] | changes))
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> str:
    return save(tmp_path / kind, kind)


def clips(number: int = 2) -> torch.Tensor:
    return torch.rand(number, FRAMES, 3, SIZE, SIZE)


def test_loads_from_a_folder_and_equals_the_library(folder: str, kind: str) -> None:
    encoder = VideoTransformer.load(folder).eval()
    batch = clips()
    assert encoder.out_features == WIDTH
    assert encoder.tokens(batch).shape == (2, TOKENS[kind], WIDTH)
    assert sum(parameter.numel() for parameter in encoder.parameters()) < 20_000
    library = transformers.AutoModel.from_pretrained(folder).eval()
    scaled = (batch - encoder.mean) / encoder.std
    with torch.no_grad():
        mean = library(scaled).last_hidden_state.mean(1)
        # VideoMAE leaves the normalisation of the mean to the classifier.
        expected = nn.functional.layer_norm(mean, (WIDTH,)) if kind == "videomae" else mean
        torch.testing.assert_close(encoder(batch), expected)


def test_two_steps_save_and_go_on_alike(folder: str) -> None:
    def step(encoder: VideoTransformer, seed: int) -> None:
        torch.manual_seed(seed)
        optimiser = torch.optim.SGD(encoder.parameters(), lr=0.1)
        optimiser.zero_grad()
        encoder(clips()).square().mean().backward()
        assert all(parameter.grad is not None for parameter in encoder.parameters())
        optimiser.step()

    encoder = VideoTransformer.load(folder).train()
    start = {name: value.clone() for name, value in encoder.state_dict().items()}
    step(encoder, 1)
    saved = {name: value.clone() for name, value in encoder.state_dict().items()}
    step(encoder, 2)
    description = json.loads(json.dumps(encoder.description()))
    resumed = VideoTransformer.from_description(description).train()
    resumed.load_state_dict(saved)
    step(resumed, 2)
    ends = encoder.state_dict(), resumed.state_dict()
    # The keys' bias shifts all of a token's scores alike: it alone may stay as it was.
    assert sum(torch.equal(start[name], ends[0][name]) for name in start) <= LAYERS + 1
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in start)
    assert torch.equal(encoder.mean, resumed.mean) and torch.equal(encoder.std, resumed.std)


def test_layers_go_from_the_embeddings_to_the_last_normalisation(folder: str) -> None:
    encoder = VideoTransformer.load(folder)
    groups = encoder.layers()
    names = {parameter: name for name, parameter in encoder.named_parameters()}
    assert len(groups) == LAYERS + 2
    assert sorted(names.values()) == sorted(names[parameter] for group in groups for parameter in group)
    assert {"embeddings" in names[parameter] for parameter in groups[0]} == {True}
    for number, group in enumerate(groups[1:-1]):
        assert {f".{number}." in names[parameter] for parameter in group} == {True}
    assert all("norm" in names[parameter] for parameter in groups[-1]) and groups[-1]


def test_frozen(folder: str) -> None:
    model = nn.Sequential(VideoTransformer.load(folder).freeze(), nn.Linear(WIDTH, 2)).train()
    assert not any(module.training for module in model[0].modules())
    model(clips()).square().mean().backward()
    assert model[1].weight.grad is not None
    assert all(parameter.grad is None for parameter in model[0].parameters())
    assert model[0].layers() == [[]] * (LAYERS + 2)


def test_checkpointing_changes_no_gradient(folder: str) -> None:
    encoder = VideoTransformer.load(folder).train()
    layer = next(m for m in encoder.network.modules() if isinstance(m, nn.ModuleList) and len(m) == LAYERS)[0]
    batch, gradients, passes = clips(), [], []
    calls: list[object] = []
    first = next(module for module in layer.modules() if isinstance(module, nn.LayerNorm))
    first.register_forward_hook(lambda *_: calls.append(None))
    for on in (False, True, False):
        calls.clear()
        encoder.zero_grad()
        encoder.checkpoint_gradients(on)
        encoder(batch).square().mean().backward()
        passes.append(len(calls))
        gradients.append([parameter.grad.clone() for parameter in encoder.parameters()])
    assert passes == [1, 2, 1]
    for one, other in zip(gradients[0], gradients[1], strict=True):
        torch.testing.assert_close(one, other)


def test_clips_of_another_length_or_size_are_refused(folder: str, kind: str) -> None:
    encoder = VideoTransformer.load(folder)
    encoder.check(FRAMES, SIZE)
    with pytest.raises(ConfigError, match=rf"{kind} got clips of 24x24, expected 16x16"):
        encoder(torch.rand(1, FRAMES, 3, 24, 24))
    with pytest.raises(ConfigError, match=r"24x24"):
        encoder(torch.rand(1, FRAMES, 3, SIZE, 24))
    with pytest.raises(ConfigError, match=rf"{kind} got clips of 3 frames, expected "):
        encoder.check(3, SIZE)
    if kind == "vjepa2":
        assert encoder(torch.rand(1, 2, 3, SIZE, SIZE)).shape == (1, WIDTH)
    else:
        with pytest.raises(ConfigError) as caught:
            encoder.check(FRAMES + 2, SIZE + 8)
        assert len(caught.value.faults) == 2


def test_random_start_reads_no_weights(tmp_path: Path) -> None:
    name = save(tmp_path / "model", "videomae")
    Path(name, "model.safetensors").unlink()
    assert VideoTransformer.load(name, pretrained=False)(clips()).shape == (2, WIDTH)


def test_videomae_with_its_own_normalisation_gets_no_second_one(tmp_path: Path) -> None:
    encoder = VideoTransformer.load(save(tmp_path / "model", "videomae", use_mean_pooling=False))
    assert isinstance(encoder.norm, nn.Identity)


def test_bfloat16(folder: str) -> None:
    encoder = VideoTransformer.load(folder).train()
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(clips())
    assert features.isfinite().all()
    features.float().square().mean().backward()


def test_description_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="this describes no video model"):
        VideoTransformer.from_description({"config": {"model_type": "nothing"}, "mean": [0] * 3, "std": [1] * 3})
    with pytest.raises(ConfigError, match="this describes no video model"):
        VideoTransformer.from_description({})
