from typing import Any

import pytest
import torch
from torch import nn

from pcan_pose.config import (
    CTRGCNConfig,
    HeadConfig,
    PoseEncoderConfig,
    RefinedEncoderConfig,
    STGCNConfig,
    STGCNPlusPlusConfig,
)
from pcan_pose.errors import ConfigError
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.pooling import masked_mean, masked_peak
from pcan_pose.models.pose_encoder import PoseEncoder
from pcan_pose.models.recognizer import Recognizer, TrainingStep
from pcan_pose.models.stgcn_plus_plus import STGCNPlusPlus
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import MA52

TINY = {"widths": (8, 16), "depths": (1, 1), "temporal_kernel": 3}


def make(encoder: Any = None, head: dict[str, Any] | None = None, **settings: Any) -> Recognizer:
    return build_recognizer(
        encoder or PoseEncoderConfig(**TINY),
        HeadConfig(action_embedding=6, body_embedding=4, **(head or {})),
        skeleton=skeleton("openpose28"),
        in_channels=5,
        taxonomy=MA52,
        **settings,
    )


def batch(clips: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.rand(clips, 1, 8, 28) < 0.9
    return torch.randn(clips, 1, 8, 28, 5) * found[..., None], found


@pytest.mark.parametrize(
    ("encoder", "kind", "features"),
    [
        (PoseEncoderConfig(**TINY), PoseEncoder, 16),
        (PoseEncoderConfig(**TINY, groups=4), PoseEncoder, 16),
        (PoseEncoderConfig(**TINY, spatial="GATv2Conv"), PoseEncoder, 16),
        (STGCNPlusPlusConfig(type="stgcn++", base_channels=12), STGCNPlusPlus, 48),
    ],
)
def test_encoders_of_the_configuration(encoder: Any, kind: type[nn.Module], features: int) -> None:
    recognizer = make(encoder)
    assert isinstance(recognizer.encoder, kind)
    assert recognizer.encode(*batch()).shape == (3, features)
    prediction = recognizer(*batch())
    assert prediction.action_logits.shape == (3, 52)
    assert prediction.body_logits.shape == (3, 7)
    losses = TrainingStep(recognizer)(*batch(), actions=torch.tensor([0, 20, 51]))
    losses["loss"].backward()
    assert [name for name, p in recognizer.named_parameters() if p.requires_grad and p.grad is None] == []


def test_the_encoders_sizes_reach_it() -> None:
    encoder = make(
        PoseEncoderConfig(widths=(8, 16), depths=(2, 1), groups=2, temporal_kernel=7, reduction=2, stem_stride=1)
    ).encoder
    assert encoder.stem[0].kernel_size == (7, 1) and encoder.stem[0].stride == (1, 1)
    assert len(encoder.blocks) == 3
    assert encoder.blocks[0].spatial.adjacency.shape == (2, 28, 28)
    assert encoder.blocks[2].temporal.layers[0].weight.shape == (8, 16, 1, 1)


def test_an_unknown_operator_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"encoder\.spatial: torch-geometric has no convolution 'GATv3Conv'\. Did you mean"
    ):
        make(PoseEncoderConfig(**TINY, spatial="GATv3Conv"))


def test_bfloat16_is_for_the_encoder_alone() -> None:
    torch.manual_seed(0)
    exact = make().eval()
    torch.manual_seed(0)
    rounded = make(precision=torch.bfloat16).eval()
    kinds = []
    rounded.encoder.blocks.register_forward_hook(
        lambda _, x, y: kinds.append((y.dtype, y.is_contiguous(memory_format=torch.channels_last)))
    )
    x, found = batch()
    prediction = rounded(x, found)
    assert kinds == [(torch.bfloat16, True)]
    assert prediction.action_logits.dtype == torch.float32
    assert {p.dtype for p in rounded.parameters()} == {torch.float32}
    torch.testing.assert_close(prediction.action_logits, exact(x, found).action_logits, rtol=0.05, atol=0.05)
    assert not torch.equal(prediction.action_logits, exact(x, found).action_logits)


def test_a_training_step_gathers_features_but_takes_the_labels_as_global() -> None:
    recognizer = make().eval()
    x, found = batch(4)
    actions = torch.tensor([1, 2, 30, 51])
    whole = TrainingStep(recognizer)(x, found, actions=actions)
    rest = recognizer.encode(x[2:], found[2:])
    recognizer.head.action_bank.prototypes.zero_(), recognizer.head.body_bank.prototypes.zero_()
    recognizer.head.action_bank.seen.zero_()
    share = TrainingStep(recognizer, lambda rows: torch.cat([rows, rest]))(x[:2], found[:2], actions=actions)
    torch.testing.assert_close(share, whole)


ENCODERS = [
    PoseEncoderConfig(**TINY),
    STGCNPlusPlusConfig(type="stgcn++", base_channels=12),
    CTRGCNConfig(type="ctr-gcn", base_channels=4),
    RefinedEncoderConfig(type="refined", widths=(8, 16), depths=(1, 1)),
    STGCNConfig(type="st-gcn", base_channels=4),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: encoder.type)
def test_every_encoder_pools_the_same_features_as_it_is_told(encoder: Any) -> None:
    network = make(encoder).eval().encoder
    x, found = batch()
    features = network.features(x, found)
    assert features.shape[:2] == (3, network.out_features) and features.shape[3] == 28
    assert torch.equal(network(x, found), masked_mean(features, found))
    assert torch.equal(network(x, found, pool=masked_peak), masked_peak(features, found))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_published_pooling_embeds_the_peak_in_training_and_the_mean_at_inference(precision: torch.dtype) -> None:
    recognizer = make(head={"embedding_pooling": "published", "calibration": {"clips": "all"}}, precision=precision)
    plain = make(precision=precision).eval()
    plain.load_state_dict(recognizer.eval().state_dict())
    x, found = batch(4)
    actions = torch.tensor([1, 2, 30, 51])
    embedded = []
    recognizer.head.action_embedding.register_forward_hook(lambda _, inputs, out: embedded.append(inputs[0]))
    recognizer.head.body_embedding.register_forward_hook(lambda _, inputs, out: embedded.append(inputs[0]))
    losses = TrainingStep(recognizer)(x, found, actions=actions)
    mean, peak = recognizer.encode(x, found), recognizer.encode(x, found, pool=masked_peak)
    assert mean.dtype == peak.dtype == torch.float32
    assert not torch.allclose(mean, peak)
    assert torch.equal(embedded[0], peak) and torch.equal(embedded[1], peak)
    other = TrainingStep(plain)(x, found, actions=actions)
    assert [losses[name] == other[name] for name in ("action", "body", "tree")] == [True] * 3
    assert losses["action_calibration"] != other["action_calibration"]
    embedded.clear()
    recognizer(x, found)
    assert [torch.equal(seen, mean) for seen in embedded] == [True]


def test_published_pooling_gathers_both_features_at_once() -> None:
    recognizer = make(head={"mode": "as_published"}).eval()
    x, found = batch(4)
    actions = torch.tensor([1, 2, 30, 51])
    start = {name: value.clone() for name, value in recognizer.state_dict().items()}
    whole = TrainingStep(recognizer)(x, found, actions=actions)
    rest = torch.stack([recognizer.encode(x[2:], found[2:], pool=pool) for pool in (masked_mean, masked_peak)], 1)
    recognizer.load_state_dict(start)
    gathered = []

    def gather(rows: torch.Tensor) -> torch.Tensor:
        gathered.append(rows.shape)
        return torch.cat([rows, rest])

    share = TrainingStep(recognizer, gather)(x[:2], found[:2], actions=actions)
    assert gathered == [(2, 2, 16)]
    torch.testing.assert_close(share, whole)


def test_the_head_gets_the_actions_counts() -> None:
    counts = torch.arange(52)
    recognizer = make(head={"logit_adjustment": 1.0}, action_counts=counts)
    torch.testing.assert_close(recognizer.head.log_prior[7:9], (counts[7:9] / (counts.sum() + 1)).log())
