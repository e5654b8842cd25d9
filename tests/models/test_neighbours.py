"""Nearest training clips, against loops over clips."""

import pytest
import torch
import torch.nn.functional as F

from pcan_pose.models.neighbours import TEMPERATURE, Neighbours
from pcan_pose.models.tree_head import Prediction

PARENTS = torch.tensor([0, 0, 1, 1, 2])


def prediction(clips: int) -> Prediction:
    return Prediction(torch.randn(clips, 5), torch.randn(clips, 3), torch.randn(clips, 4))


def test_the_nearest_vote_with_the_softmax_of_their_cosines() -> None:
    torch.manual_seed(0)
    known, actions, features, alone = torch.randn(40, 6) + 2, torch.arange(40) % 5, torch.randn(7, 6) + 2, prediction(7)
    mixed = Neighbours(known, actions, PARENTS, widths=[6], count=4, weight=0.3)(features, alone)
    for n in range(7):
        this = features[n] - known.mean(0)
        cosines = torch.stack([F.cosine_similarity(this, row - known.mean(0), dim=0) for row in known])
        nearest = cosines.argsort(descending=True)[:4]
        shares = (cosines[nearest] / TEMPERATURE).softmax(0)
        of_actions, of_bodies = 0.7 * alone.action_logits[n].softmax(0), 0.7 * alone.body_logits[n].softmax(0)
        for share, r in zip(shares, nearest, strict=True):
            of_actions[actions[r]] += 0.3 * share
            of_bodies[PARENTS[actions[r]]] += 0.3 * share
        torch.testing.assert_close(mixed.action_logits[n].exp(), of_actions)
        torch.testing.assert_close(mixed.body_logits[n].exp(), of_bodies)
    torch.testing.assert_close(mixed.action_logits.exp().sum(1), torch.ones(7))
    assert mixed.embeddings is alone.embeddings


def test_members_are_compared_apart() -> None:
    torch.manual_seed(0)
    known, actions, features, alone = torch.randn(30, 6), torch.arange(30) % 5, torch.randn(9, 6), prediction(9)
    scale = torch.tensor([1.0, 1.0, 100.0, 100.0, 100.0, 100.0])
    one = Neighbours(known, actions, PARENTS, widths=[2, 4])(features, alone)
    other = Neighbours(known * scale, actions, PARENTS, widths=[2, 4])(features * scale, alone)
    torch.testing.assert_close(one.action_logits, other.action_logits)
    whole = Neighbours(known, actions, PARENTS, widths=[6])(features, alone)
    assert not torch.allclose(one.action_logits, whole.action_logits, atol=1e-2)


@pytest.mark.parametrize("count", [3, 10])
def test_a_training_clip_is_its_own_nearest_and_few_clips_are_all_asked(count: int) -> None:
    torch.manual_seed(0)
    known, actions = torch.randn(5, 8), torch.arange(5)
    sure = Prediction(torch.zeros(5, 5), torch.zeros(5, 3), torch.zeros(5, 4))
    mixed = Neighbours(known, actions, PARENTS, widths=[8], count=count)(known, sure)
    assert torch.equal(mixed.action_logits.argmax(1), actions)
    assert torch.isfinite(mixed.action_logits).all() and torch.isfinite(mixed.body_logits).all()


@pytest.mark.parametrize("known", [1, 4])
def test_no_clip_asks_itself(known: int) -> None:
    torch.manual_seed(0)
    features, actions, alone = torch.randn(known, 6), torch.arange(known), prediction(known)
    own = torch.arange(known)
    mixed = Neighbours(features, actions, PARENTS, widths=[6], count=known)(features, alone, own)
    assert torch.isfinite(mixed.action_logits).all()
    said = mixed.action_logits.exp() - 0.5 * alone.action_logits.softmax(1)
    torch.testing.assert_close(said[own, actions], torch.zeros(known), atol=1e-6, rtol=0)
    none = Neighbours(features, actions, PARENTS, widths=[6], count=known)(features, alone, torch.full((known,), -1))
    plain = Neighbours(features, actions, PARENTS, widths=[6], count=known)(features, alone)
    assert torch.equal(none.action_logits, plain.action_logits)
