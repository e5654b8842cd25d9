import pytest
import torch
from torch import nn

from pcan_pose.config import (
    CommitteeConfig,
    CTRGCNConfig,
    EncoderConfig,
    HeadConfig,
    MemberConfig,
    PoseEncoderConfig,
    RefinedEncoderConfig,
    STGCNConfig,
    STGCNPlusPlusConfig,
)
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.folding import fold
from pcan_pose.models.pose_encoder import PoseEncoder
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.models.rgb.efficientnet import EfficientNetLite0
from pcan_pose.skeleton import adjacency, skeleton
from pcan_pose.taxonomy import MA52

LAYOUT = skeleton("coco17")
POSE = PoseEncoderConfig(widths=(8, 16), depths=(2, 1), temporal_kernel=3, reduction=2)
ENCODERS: dict[str, EncoderConfig] = {
    "pose": POSE,
    "grouped": POSE.model_copy(update={"groups": 2}),
    "committee": CommitteeConfig(
        type="committee",
        members=(
            MemberConfig(streams=("joint",), encoder=POSE),
            MemberConfig(streams=("bone",), encoder=STGCNConfig(type="st-gcn", base_channels=4)),
        ),
    ),
    "st-gcn": STGCNConfig(type="st-gcn", base_channels=4),
    "stgcn++": STGCNPlusPlusConfig(type="stgcn++", base_channels=12),
    "refined": RefinedEncoderConfig(type="refined", widths=(8, 16), depths=(2, 1)),
    "ctr-gcn": CTRGCNConfig(type="ctr-gcn", base_channels=4),
}


def unsettle(network: nn.Module) -> None:
    """Give every norm statistics and weights of its own, negative scales among them, and every graph directions."""
    for name, parameter in network.named_parameters():
        if name.endswith(("adjacency", "subsets", "importance", "alpha")):
            nn.init.uniform_(parameter, 0, 0.3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, -1, 1)
            nn.init.normal_(module.bias, 0, 0.3)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)


def make(name: str, precision: torch.dtype = torch.float32) -> Recognizer:
    recognizer = build_recognizer(
        ENCODERS[name],
        HeadConfig(action_embedding=8, body_embedding=6),
        skeleton=LAYOUT,
        in_channels=5,
        taxonomy=MA52,
        precision=precision,
        member_channels=[[0, 1, 4], [2, 3, 4]],
    )
    unsettle(recognizer)
    return recognizer


def batch(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.rand(2, 2, 9, LAYOUT.num_joints) > 0.2
    return torch.randn(*found.shape, 5, dtype=dtype), found


def norms(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_folded_network_computes_the_same(name: str, dtype: torch.dtype, tolerance: float) -> None:
    encoder = make(name).encoder.to(dtype).eval()
    x, found = batch(dtype)
    with torch.no_grad():
        expected = encoder(x, found)
        got = fold(encoder)(x, found)
    assert expected.std() > 0
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance * max(1, float(expected.abs().max())))


@pytest.mark.parametrize("name", ENCODERS)
def test_no_norm_between_layers_is_left(name: str) -> None:
    recognizer = make(name)
    assert norms(recognizer)
    assert norms(fold(recognizer)) == []


def test_logits_of_a_whole_network_stay_in_both_precisions() -> None:
    x, found = batch()
    for precision, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 5e-2)):
        recognizer = make("pose", precision).eval()
        with torch.no_grad():
            torch.testing.assert_close(
                fold(recognizer)(x, found).action_logits,
                recognizer(x, found).action_logits,
                rtol=0,
                atol=tolerance,
            )


def test_the_network_stays_as_it_was_and_its_copy_wants_no_training() -> None:
    recognizer = make("stgcn++").train()
    before = {name: value.clone() for name, value in recognizer.state_dict().items()}
    folded = fold(recognizer)
    assert recognizer.training
    assert not folded.training
    assert all(parameter.requires_grad for parameter in recognizer.encoder.parameters())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert recognizer.state_dict().keys() == before.keys()
    for name, value in recognizer.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("name", ENCODERS)
def test_folding_twice_changes_nothing(name: str) -> None:
    x, found = batch()
    folded = fold(make(name).encoder)
    with torch.no_grad():
        torch.testing.assert_close(fold(folded)(x, found), folded(x, found), rtol=0, atol=0)


def test_channels_stay_last() -> None:
    encoder = make("pose").encoder
    assert isinstance(encoder, PoseEncoder)
    features = fold(encoder).features(*batch())
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert not features.is_contiguous()


def test_the_norm_of_another_spatial_operator_stays() -> None:
    encoder = PoseEncoder(
        5, adjacency(LAYOUT), widths=(8,), depths=(1,), spatial=lambda inside, out: nn.Conv2d(inside, out, 1)
    )
    unsettle(encoder)
    folded = fold(encoder)
    assert norms(folded) == ["blocks.0.norm"]
    x, found = batch()
    with torch.no_grad():
        torch.testing.assert_close(folded(x, found), encoder.eval()(x, found), rtol=0, atol=1e-5)


def test_pictures() -> None:
    encoder = EfficientNetLite0(pretrained=False).double().eval()
    unsettle(encoder)
    clips = torch.rand(1, 2, 3, 32, 32, dtype=torch.float64)
    folded = fold(encoder)
    assert norms(folded) == []
    with torch.no_grad():
        expected = encoder(clips)
        torch.testing.assert_close(folded(clips), expected, rtol=0, atol=1e-10 * max(1, float(expected.abs().max())))
