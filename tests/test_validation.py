from dataclasses import replace

import numpy as np
import pytest
from small_sets import clip, small_set

from pcan_pose.keypoints import Clip, KeypointSet
from pcan_pose.validation import validate


def changed(name: str, part: str, place: tuple[int, ...], value: float, **change: object) -> Clip:
    """Return a clip with one value changed."""
    made = clip(name, **change)
    getattr(made, part)[place] = value
    return made


def test_a_sound_set_has_no_findings() -> None:
    clips = [clip("a", persons=2, splits=("train",), label=2), clip("b", splits=("test",), width=None, height=None)]
    result = validate(small_set(*clips, clip("c", layout="coco17", frames=30)))
    assert (result.clips, result.findings, result.twins, result.leaks) == (3, (), (), ())


def test_an_empty_set_has_no_findings() -> None:
    assert validate(small_set()).findings == ()


ONE_MOVES = np.stack([np.ones((2, 17, 2)), np.ones((2, 17, 2)) + np.arange(2)[:, None, None]])
BESIDE = (clip("before"), clip("after", persons=2))


@pytest.mark.parametrize(
    ("check", "severity", "wrong"),
    [
        ("empty", "error", clip("x", frames=0)),
        ("empty", "error", clip("x", persons=0)),
        ("keypoints_not_finite", "error", changed("x", "keypoints", (0, 2, 16, 1), np.nan)),
        ("keypoints_not_finite", "error", changed("x", "keypoints", (0, 0, 0, 0), -np.inf)),
        ("scores_out_of_range", "error", changed("x", "scores", (0, 0, 0), 1.01)),
        ("scores_out_of_range", "error", changed("x", "scores", (0, 2, 16), -0.01)),
        ("scores_out_of_range", "error", changed("x", "scores", (0, 1, 3), np.nan)),
        ("label_out_of_range", "error", clip("x", label=3)),
        ("nothing_found", "warning", clip("x", scores=np.zeros((1, 3, 17), np.float32))),
        ("outside_picture", "warning", changed("x", "keypoints", (0, 1, 1, 0), 201)),
        ("outside_picture", "warning", changed("x", "keypoints", (0, 1, 1, 1), -101)),
        ("outside_picture", "warning", changed("x", "keypoints", (0, 0, 0, 1), 161, width=200, height=80)),
        ("frozen", "warning", clip("x", frames=1)),
        ("frozen", "warning", clip("x", frames=1, persons=3)),
        ("frozen", "warning", clip("x", keypoints=np.ones((1, 3, 17, 2), np.float32))),
    ],
)
def test_one_fault_is_one_finding_and_names_the_clip(check: str, severity: str, wrong: Clip) -> None:
    (finding,) = validate(small_set(BESIDE[0], wrong, BESIDE[1])).findings
    assert (finding.check, finding.severity, finding.clips) == (check, severity, ("x",))
    assert finding.message


@pytest.mark.parametrize(
    "fine",
    [
        changed("x", "keypoints", (0, 1, 1, 0), 200),
        changed("x", "keypoints", (0, 1, 1, 1), -100),
        changed("x", "keypoints", (0, 0, 0, 0), 1e6, width=None, height=None),
        changed("x", "keypoints", (0, 0, 0, 0), 1e6, width=100, height=None),
        # A joint that was not found may be anywhere.
        changed("x", "keypoints", (0, 0, 0, 0), 1e6, scores=1 - np.eye(1, 51, dtype=np.float32).reshape(1, 3, 17)),
        # One of two persons moves.
        clip("x", keypoints=ONE_MOVES, scores=np.ones((2, 2, 17))),
    ],
)
def test_what_is_no_fault(fine: Clip) -> None:
    assert validate(small_set(BESIDE[0], fine, BESIDE[1])).findings == ()


def test_one_set_shows_all_its_faults() -> None:
    result = validate(
        small_set(
            clip("sound"),
            clip("a", label=5),
            changed("b", "keypoints", (0, 0, 0, 0), np.nan, label=7),
            clip("c", frames=1),
            clip("a", frames=2),
            clip("d", frames=0),
        )
    )
    assert {finding.check: finding.clips for finding in result.findings} == {
        "empty": ("d",),
        "keypoints_not_finite": ("b",),
        "label_out_of_range": ("a", "b"),
        "duplicate_id": ("a", "a"),
        "frozen": ("c",),
    }
    assert [finding.severity for finding in result.findings] == ["error"] * 4 + ["warning"]
    assert (len(result.errors), len(result.warnings)) == (4, 1)


def test_labels_without_a_tree_and_pictures_in_3d_are_not_checked() -> None:
    solid = clip("a", layout="kinect20", dims=3, label=1000)
    solid.keypoints[0, 0, 0] = 1e6
    assert validate(small_set(solid, layout="kinect20", dims=3, taxonomy=None)).findings == ()


def twins() -> KeypointSet:
    """a and b are one clip, in train and test; c and d are one, in train; e is like a but for one bit."""
    one, two = clip("a", splits=("train", "all")), clip("c", splits=("train", "all"))
    nearly = replace(one, clip_id="e", keypoints=one.keypoints.copy(), splits=("test",))
    nearly.keypoints[0, 0, 0, 0] = np.nextafter(nearly.keypoints[0, 0, 0, 0], np.float32(0))
    return small_set(
        one,
        replace(one, clip_id="b", splits=("test", "all")),
        two,
        replace(two, clip_id="d", splits=("train", "test_clean", "all")),
        nearly,
    )


def test_twins_across_disjoint_splits_are_leaks() -> None:
    result = validate(twins())
    assert result.twins == (("a", "b"), ("c", "d"))
    # d is in train and in test_clean by name: those two were never meant to be disjoint.
    assert [(leak.splits, leak.groups) for leak in result.leaks] == [(("test", "train"), (("a", "b"),))]
    assert [(finding.check, finding.clips) for finding in result.findings] == [
        ("leak", ("a", "b")),
        ("twins", ("a", "b", "c", "d")),
    ]
    assert result.errors[0].message == (
        "1 groups of bit-identical clips lie across the splits 'test' and 'train', which share no clip by name; "
        "leave them out of one split, or say so beside every measure"
    )


def test_a_leak_names_the_clips_of_its_two_splits_only() -> None:
    one = clip("a", splits=("train",))
    others = [replace(one, clip_id=name, splits=splits) for name, splits in (("b", ("test",)), ("c", ()))]
    result = validate(small_set(one, *others))
    assert result.twins == (("a", "b", "c"),)
    assert result.leaks[0].groups == (("a", "b"),)


def test_equal_bytes_of_another_shape_are_no_twins() -> None:
    rows = clip("a", persons=2, frames=3).keypoints
    scores = np.ones((1, 6, 17), np.float32)
    result = validate(
        small_set(clip("a", persons=2, frames=3), clip("b", keypoints=rows.reshape(1, 6, 17, 2), scores=scores))
    )
    assert result.twins == ()


def test_clips_without_anything_found_are_no_twins() -> None:
    nothing = {"keypoints": np.zeros((1, 3, 17, 2), np.float32), "scores": np.zeros((1, 3, 17), np.float32)}
    result = validate(small_set(clip("a", splits=("x",), **nothing), clip("b", splits=("y",), **nothing)))
    assert [(finding.check, finding.clips) for finding in result.findings] == [("nothing_found", ("a", "b"))]


def twin_of(made: Clip, name: str, *splits: str) -> Clip:
    return replace(made, clip_id=name, splits=splits)


@pytest.mark.parametrize(("first", "second"), [("train", "test"), ("val", "test"), ("xsub_train", "xsub_val")])
def test_clips_in_two_splits_of_one_protocol_are_named(first: str, second: str) -> None:
    clips = [clip(name, splits=(first, second)) for name in ("a", "b")]
    result = validate(small_set(*clips, clip("c", splits=(first,)), clip("d", splits=(second,))))
    (finding,) = result.findings
    assert (finding.check, finding.severity, finding.clips) == ("shared_clip", "error", ("a", "b"))
    one, other = sorted((first, second))
    assert finding.message == (
        f"in both of the splits {one!r} and {other!r}, which should be disjoint; split the set anew"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train", "xsub_test"),
        ("xsub_train", "xview_test"),
        ("train", "train_clean"),
        ("all", "test"),
        ("x_test", "y_test"),
    ],
)
def test_splits_of_two_protocols_may_share_clips(first: str, second: str) -> None:
    one = clip("a", splits=(first, second))
    clips = [one, clip("b", splits=(first,)), clip("c", splits=(second,))]
    assert validate(small_set(*clips)).findings == ()
    # As they share a clip, twins in the two are no leak.
    twin = twin_of(clips[1], "d", second)
    assert validate(small_set(*clips, twin)).leaks == ()


def test_a_shared_clip_hides_no_leak() -> None:
    one, two = clip("a", splits=("train",)), clip("b", splits=("test", "train"))
    result = validate(small_set(one, twin_of(one, "c", "test"), two, twin_of(two, "d", "train")))
    # b is in both by name, so that d, which is like it, adds no leak of its own.
    assert [(leak.splits, leak.groups) for leak in result.leaks] == [(("test", "train"), (("a", "c"),))]
    assert [(finding.check, finding.clips) for finding in result.errors] == [
        ("shared_clip", ("b",)),
        ("leak", ("a", "c")),
    ]
    assert result.errors[1].message.startswith(
        "1 groups of bit-identical clips lie across the splits 'test' and 'train'; leave them out of one split"
    )


def test_splits_that_are_the_same_clips_are_named() -> None:
    clips = [clip(name, splits=("train", "test")) for name in "ab"]
    assert [finding.check for finding in validate(small_set(*clips)).findings] == ["shared_clip"]


def test_a_name_that_comes_twice_is_in_both_splits() -> None:
    result = validate(small_set(clip("a", splits=("train",)), clip("a", splits=("test",), frames=4)))
    assert [(finding.check, finding.clips) for finding in result.findings] == [
        ("duplicate_id", ("a", "a")),
        ("shared_clip", ("a",)),
    ]
