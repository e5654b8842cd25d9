import numpy as np
import torch
from small_results import ACTIONS, BODIES, LABELS, TREE, scores

from pcan_pose.models.calibration import action_sets
from pcan_pose.report.ambiguity import confused_pairs, find_ambiguous


def test_kinds_of_clips_by_hand() -> None:
    found = find_ambiguous(scores().action_logits, scores().body_logits, LABELS, TREE)
    assert np.flatnonzero(found.clear).tolist() == [0, 4]
    assert {kind: np.flatnonzero(chosen).tolist() for kind, chosen in found.missed.items()} == {
        "FN1": [1, 5],
        "FN2": [2],
        "FN3": [3, 6],
    }
    assert found.claimed[found.false_positive].tolist() == [1, 3, 4, 0]


def test_kinds_are_those_of_the_calibration() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, TREE.num_actions, 200)
    action, body = rng.standard_normal((200, TREE.num_actions)), rng.standard_normal((200, TREE.num_body_parts))
    found = find_ambiguous(action, body, labels, TREE)
    parents = torch.from_numpy(TREE.parent_array[labels])
    sets = action_sets(
        torch.from_numpy(body), torch.from_numpy(action), parents, torch.from_numpy(labels), (1.0, 1.0, 1.0), 1.0
    )
    for chosen, of in zip([*found.missed.values(), found.false_positive], sets, strict=True):
        np.testing.assert_array_equal(chosen, of.clips.numpy())
    np.testing.assert_array_equal(found.claimed, sets[-1].columns.numpy())
    np.testing.assert_array_equal(sum(found.missed.values()) + found.clear, 1)


def test_confused_pairs_most_clips_first_then_the_larger_share() -> None:
    confusion = np.array([[9, 2, 0], [2, 1, 3], [1, 0, 0]])
    assert confused_pairs(confusion, 10) == [(1, 2, 3), (1, 0, 2), (0, 1, 2), (2, 0, 1)]
    assert confused_pairs(confusion, 1) == [(1, 2, 3)]
    assert confused_pairs(np.diag([3, 4]), 5) == []


def test_the_hand_made_clips_are_what_they_say() -> None:
    assert len(LABELS) == len(ACTIONS) == len(BODIES)
