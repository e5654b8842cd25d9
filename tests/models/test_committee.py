import math

import pytest
import torch

from pcan_pose.config import CommitteeConfig, HeadConfig, MemberConfig, PoseEncoderConfig, Vote
from pcan_pose.data.streams import input_channels, stream_channels
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.committee import Committee
from pcan_pose.models.recognizer import Recognizer, TrainingStep
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import MA52

STREAMS = ("joint", "bone", "joint_motion")
SMALL = PoseEncoderConfig(widths=(8, 16), depths=(1, 1))
ENCODER = CommitteeConfig(
    type="committee",
    members=(
        MemberConfig(streams=("joint",), encoder=SMALL),
        MemberConfig(streams=("joint_motion", "bone"), encoder=SMALL),
    ),
)
CHANNELS = [stream_channels(2, STREAMS, member.streams) for member in ENCODER.members]


def make(head: HeadConfig | None = None, vote: Vote = "probabilities") -> Recognizer:
    torch.manual_seed(0)
    return build_recognizer(
        ENCODER.model_copy(update={"vote": vote}),
        head or HeadConfig(action_embedding=12, body_embedding=6),
        skeleton=skeleton("openpose28"),
        in_channels=input_channels(2, STREAMS),
        taxonomy=MA52,
        member_channels=CHANNELS,
    )


def batch(clips: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(clips, 1, 8, 28, 7, generator=generator)
    return x, torch.ones(clips, 1, 8, 28, dtype=torch.bool)


def alone(recognizer: Recognizer, k: int) -> Recognizer:
    return Recognizer(recognizer.encoder.members[k], recognizer.head.heads[k])


def test_streams_become_channels() -> None:
    assert CHANNELS == [[0, 1, 6], [4, 5, 2, 3, 6]]


def test_a_member_sees_its_own_streams_and_no_others() -> None:
    recognizer = make().eval()
    x, found = batch()
    changed = x.clone()
    changed[..., 0:2] += 1
    one, other = recognizer.encode(x, found), recognizer.encode(changed, found)
    assert one.shape == (4, 32)
    assert not torch.equal(one[:, :16], other[:, :16])
    assert torch.equal(one[:, 16:], other[:, 16:])


def test_members_vote_with_their_probabilities() -> None:
    recognizer = make()
    x, found = batch()
    TrainingStep(recognizer)(x, found, actions=torch.tensor([0, 20, 51, 7]))
    recognizer.eval()
    prediction = recognizer(x, found)
    parts = [alone(recognizer, k)(x[..., channels], found) for k, channels in enumerate(CHANNELS)]
    for level in ("action_logits", "body_logits"):
        expected = sum(getattr(part, level).softmax(1) for part in parts) / 2
        torch.testing.assert_close(getattr(prediction, level).exp(), expected)
    torch.testing.assert_close(prediction.embeddings, torch.cat([part.embeddings for part in parts], 1))
    assert recognizer.head.prototypes.shape == (52, 24)
    assert recognizer.head.seen.shape == (52,)


@pytest.mark.parametrize("pooling", ["mean", "published"])
def test_members_learn_as_if_alone(pooling: str) -> None:
    head = HeadConfig(action_embedding=12, body_embedding=6, embedding_pooling=pooling, label_smoothing=0.1)
    recognizer, actions = make(head), torch.tensor([0, 20, 51, 7])
    x, found = batch()
    singles = []
    for k, channels in enumerate(CHANNELS):
        single = alone(make(head), k)
        losses = TrainingStep(single)(x[..., channels], found, actions=actions)
        losses["loss"].backward()
        singles.append((single, losses))
    losses = TrainingStep(recognizer)(x, found, actions=actions)
    losses["loss"].backward()
    torch.testing.assert_close(losses["loss"], sum(each["loss"] for _, each in singles))
    torch.testing.assert_close(losses["tree"], sum(each["tree"] for _, each in singles) / 2)
    for k, (single, _) in enumerate(singles):
        for (name, expected), (_, weight) in zip(
            single.named_parameters(), alone(recognizer, k).named_parameters(), strict=True
        ):
            torch.testing.assert_close(weight.grad, expected.grad, msg=lambda text, name=name: f"{name}: {text}")


def test_members_vote_with_their_logits_if_told() -> None:
    recognizer = make(vote="logits").eval()
    x, found = batch()
    parts = [alone(recognizer, k)(x[..., channels], found) for k, channels in enumerate(CHANNELS)]
    for level in ("action_logits", "body_logits"):
        mean = sum(getattr(part, level) for part in parts) / 2
        torch.testing.assert_close(getattr(recognizer(x, found), level), mean.log_softmax(1))


def test_a_tie_is_shared() -> None:
    recognizer = make().eval()
    for head in recognizer.head.heads:
        torch.nn.init.zeros_(head.action_classifier.weight), torch.nn.init.zeros_(head.action_classifier.bias)
    prediction = recognizer(*batch())
    torch.testing.assert_close(prediction.action_logits, torch.full((4, 52), -math.log(52)))


def test_a_member_sees_its_own_view_of_the_clips() -> None:
    recognizer = make().eval()
    members, (x, found) = recognizer.encoder, batch()
    other = torch.randn(4, 1, 5, 28, 7), torch.rand(4, 1, 5, 28) < 0.8
    committee = Committee(list(members.members), CHANNELS, [1, 0])
    expected = members(*other)[:, :16], members(x, found)[:, 16:]
    torch.testing.assert_close(committee(x, found, *other), torch.cat(expected, 1))
    torch.testing.assert_close(committee.only([0])(x, found, *other), expected[0])
    torch.testing.assert_close(committee.only([1])(x, found, *other), expected[1])


def test_features_before_pooling_are_refused() -> None:
    committee = make().encoder
    assert isinstance(committee, Committee)
    with pytest.raises(NotImplementedError, match="pool apart"):
        committee.features(*batch())
