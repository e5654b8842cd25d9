import re
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from small_sets import clip, small_set

from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet
from pcan_pose.splits import long_tail, split_by_subject
from pcan_pose.taxonomy import Taxonomy

THREE = {"train": 0.6, "val": 0.2, "test": 0.2}


def many(subjects: int = 20, clips: int = 15) -> KeypointSet:
    """Subjects differ in how many clips they have and in what they do; some clips have no label."""
    random = np.random.default_rng(0)
    made = [
        clip(f"{subject}_{i}", frames=1, subject=f"s{subject:02}", label=label, splits=("all",))
        for subject in range(subjects)
        for i, label in enumerate(random.choice([0, 0, 0, 1, 2, None], clips + subject % 5).tolist())
    ]
    return small_set(*made)


def people(keypoint_set: KeypointSet, split: str) -> set[str | None]:
    return {keypoint_set.subjects[i] for i in keypoint_set.in_split(split)}


def test_nobody_is_in_two_splits_and_every_clip_is_in_one() -> None:
    got = split_by_subject(many(), THREE)
    splits_of = defaultdict(set)
    for subject, splits in zip(got.subjects, got.splits, strict=True):
        assert splits[0] == "all"
        assert len(splits) == 2
        splits_of[subject].add(splits[1])
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {name for splits in splits_of.values() for name in splits} == {"xsub_train", "xsub_val", "xsub_test"}


@pytest.mark.parametrize(
    "fractions", [THREE, {"train": 0.8, "test": 0.2}, {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}]
)
def test_shares_and_labels_are_near_what_was_asked(fractions: dict[str, float]) -> None:
    original = many()
    got = split_by_subject(original, fractions, prefix="")
    everything = Counter(original.labels.tolist())
    for name, share in fractions.items():
        members = got.in_split(name)
        assert len(members) / len(got) == pytest.approx(share, abs=0.04)
        for label, count in everything.items():
            assert (got.labels[members] == label).sum() / count == pytest.approx(share, abs=0.08)


def test_equal_seeds_give_equal_splits_and_others_do_not() -> None:
    one, two, other = (split_by_subject(many(), THREE, seed=seed).splits for seed in (3, 3, 4))
    assert one == two
    assert one != other


def test_it_does_not_depend_on_the_clips_order() -> None:
    original = many()
    order = np.random.default_rng(0).permutation(len(original))
    one, two = split_by_subject(original, THREE), split_by_subject(original.select(order), THREE)
    assert dict(zip(one.clip_ids, one.splits, strict=True)) == dict(zip(two.clip_ids, two.splits, strict=True))


@pytest.mark.parametrize("sizes", [[50, 1, 1], [1, 1, 50], [1, 1, 1]])
def test_no_split_stays_empty(sizes: list[int]) -> None:
    made = [clip(f"{s}_{i}", frames=1, subject=str(s), label=0) for s, size in enumerate(sizes) for i in range(size)]
    for seed in range(5):
        got = split_by_subject(small_set(*made), THREE, seed=seed)
        assert [len(people(got, f"xsub_{name}")) for name in THREE] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fractions", "shown"), [({"a": 0.5, "b": 0.6}, "0.5, 0.6"), ({"a": 1.5, "b": -0.5}, "1.5, -0.5"), ({}, "")]
)
def test_shares_that_are_none(fractions: dict[str, float], shown: str) -> None:
    with pytest.raises(DataError) as caught:
        split_by_subject(many(4, 1), fractions)
    assert str(caught.value) == f"fractions {shown}: expected positive numbers that are 1 together."


def test_only_some_splits_are_dealt_out() -> None:
    """As for MA-52, whose test clips name no subject."""
    known, unknown = many(), [clip(f"u{i}", frames=1, splits=("test",), subject=None) for i in range(5)]
    both = small_set(*unknown[:2], *known.clips(), *unknown[2:])
    got, alone = split_by_subject(both, THREE, among=["all"], seed=1), split_by_subject(known, THREE, seed=1)
    assert got.clip_ids == both.clip_ids
    assert dict(zip(got.clip_ids, got.splits, strict=True)) == {
        **dict(zip(alone.clip_ids, alone.splits, strict=True)),
        **{each.clip_id: ("test",) for each in unknown},
    }
    with pytest.raises(DataError, match=r"^5 clips name no subject \(u0, u1, u2, u3, u4\); import"):
        split_by_subject(both, THREE)
    with pytest.raises(DataError, match="other"):
        split_by_subject(both, THREE, among=["other"])
    taken = [clip("t", frames=1, splits=("xsub_val",), subject=None), *known.clips()]
    with pytest.raises(DataError, match="the set has a split 'xsub_val' already"):
        split_by_subject(small_set(*taken), THREE, among=["all"])


def test_all_faults_come_together() -> None:
    unknown: dict[str, Any] = {"splits": ("xsub_val",)}
    made = [clip("a", subject="s"), clip("b", **unknown), clip("c", subject="")]
    with pytest.raises(DataError) as caught:
        split_by_subject(small_set(*made), {"train": 0.5, "val": 0.4})
    assert caught.value.faults == (
        "fractions 0.5, 0.4: expected positive numbers that are 1 together.",
        "2 clips name no subject (b, c); import them with --subject-from-name, if it is there, or name the splits to "
        "deal out with --split.",
        "the set has a split 'xsub_val' already; choose another prefix with --prefix.",
    )
    with pytest.raises(DataError, match=r"^3 splits need as many subjects, the set has 1\.$"):
        split_by_subject(small_set(made[0]), THREE)


def even(per_action: int = 40, actions: int = 5) -> KeypointSet:
    """As many clips of each action in split a, and one of each in split b."""
    rows = [(action, i) for action in range(actions) for i in range(per_action)]
    made = [clip(f"{action}_{i:03}", frames=1, label=action, splits=("a",)) for action, i in rows]
    others = [clip(f"b{action}", frames=1, label=action, splits=("b",)) for action in range(actions)]
    tree = Taxonomy("five", tuple("vwxyz"[:actions]), ("all",), (0,) * actions)
    return small_set(*made, *others, taxonomy=tree)


@pytest.mark.parametrize(
    ("ratio", "sizes"), [(1.0, [40] * 5), (16.0, [40, 20, 10, 5, 2]), (1e6, [40, 1, 1, 1, 1])], ids=str
)
def test_a_long_tail_has_the_formulas_sizes(ratio: float, sizes: list[int]) -> None:
    original = even()
    got = long_tail(original, "a", ratio, seed=1)
    counts = Counter(original.labels[got.in_split("long_tail_a")].tolist())
    assert sorted(counts.values(), reverse=True) == sizes
    for before, after in zip(original.splits, got.splits, strict=True):
        assert after in ((before, (*before, "long_tail_a")) if before == ("a",) else (before,))


def test_an_action_that_is_rarer_already_keeps_what_it_has() -> None:
    made = [
        clip(f"{label}_{i}", frames=1, label=label, splits=("a",)) for label in (0, 1) for i in range(9 - 8 * label)
    ]
    for seed in range(4):
        counts = Counter(
            small_set(*made).labels[long_tail(small_set(*made), "a", 3, seed=seed).in_split("long_tail_a")]
        )
        assert counts in ({0: 9, 1: 1}, {0: 3, 1: 1})


def test_a_long_tail_ranks_actions_by_its_seed() -> None:
    original = even()

    def counts(seed: int) -> list[int]:
        return np.bincount(original.labels[long_tail(original, "a", 10, seed=seed).in_split("long_tail_a")]).tolist()

    assert counts(0) == counts(0)
    assert len({tuple(counts(seed)) for seed in range(6)}) > 3
    small = long_tail(long_tail(original, "a", 4), "b", 1)
    assert len(small.in_split("long_tail_b")) == 5


def test_a_long_tail_does_not_depend_on_the_clips_order() -> None:
    original = even(6)
    order = np.random.default_rng(0).permutation(len(original))
    one, two = long_tail(original, "a", 5), long_tail(original.select(order), "a", 5)
    assert dict(zip(one.clip_ids, one.splits, strict=True)) == dict(zip(two.clip_ids, two.splits, strict=True))


def test_two_splits_of_the_same_actions_have_the_same_ranks() -> None:
    original = even(8)
    thin = long_tail(long_tail(original.with_splits([("a", "c")] * len(original)), "a", 8, seed=2), "c", 8, seed=2)
    assert thin.in_split("long_tail_a").tolist() == thin.in_split("long_tail_c").tolist()


def test_a_long_tail_of_one_action() -> None:
    got = long_tail(small_set(*(clip(str(i), label=1, splits=("a",)) for i in range(4))), "a", 10)
    assert len(got.in_split("long_tail_a")) == 4


def test_a_long_tails_faults_come_together() -> None:
    made = small_set(clip("x", label=0, splits=("a",)), clip("y", splits=("a", "long_tail_a")))
    with pytest.raises(DataError) as caught:
        long_tail(made, "a", 0.5)
    assert caught.value.faults == (
        "ratio 0.5: expected a finite number of 1 or more.",
        "1 clips of split 'a' have no label (y); label them or take them out.",
        "the set has a split 'long_tail_a' already; choose another prefix with --prefix.",
    )
    with pytest.raises(DataError, match=re.escape("no clip is in split 'c'; the set has a, long_tail_a.")):
        long_tail(made, "c", 2)
