"""The simulator: what it makes, that it repeats itself, and that hands end up where the actions say."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pcan_pose.data.simulate import (
    MA52_TRAIN_COUNTS,
    SimulationConfig,
    clean_clips,
    plan,
    simulate,
    simulate_chunks,
)
from pcan_pose.data.simulate_motion import BODY, FRAMES, LEG
from pcan_pose.data.simulate_motion_arrays import motion_arrays
from pcan_pose.data.simulate_motions import MOTIONS
from pcan_pose.errors import ConfigError
from pcan_pose.keypoints import KeypointSet
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import MA52

JOINT = {name: i for i, name in enumerate(skeleton("openpose28").joints)}
HEIGHT_OF_TRUNK = 0.48


@pytest.fixture(scope="module")
def noisy() -> KeypointSet:
    return simulate(SimulationConfig(clips=600, seed=1))


@pytest.fixture(scope="module")
def textbook() -> KeypointSet:
    """1,040 clips, 20 an action, without noise or ambiguity."""
    return clean_clips(SimulationConfig(clips=1040, seed=2, ambiguity=0))


def same(a: KeypointSet, b: KeypointSet) -> bool:
    return (
        a.clip_ids == b.clip_ids
        and a.subjects == b.subjects
        and a.splits == b.splits
        and a.keypoints.tobytes() == b.keypoints.tobytes()
        and a.scores.tobytes() == b.scores.tobytes()
        and a.labels.tolist() == b.labels.tolist()
    )


def test_set_is_complete(noisy: KeypointSet) -> None:
    assert len(noisy) == 600
    assert noisy.header.layout == "openpose28"
    assert noisy.header.dims == 2
    assert noisy.header.taxonomy == MA52
    assert noisy.header.estimator == "simulated"
    assert noisy.clip_ids[0] == "sim_000000"
    assert noisy.clip_ids[-1] == "sim_000599"
    assert noisy.keypoints.shape == (noisy.offsets[-1], 28, 2)
    assert noisy.keypoints.dtype == noisy.scores.dtype == np.float32
    assert np.isfinite(noisy.keypoints).all()
    assert noisy.scores.min() == 0
    assert noisy.scores.max() <= 1
    assert set(noisy.subjects) <= {f"s{i:03d}" for i in range(20)}
    assert len(set(noisy.subjects)) == 20
    assert set(noisy.frames) <= set(range(45, 76))
    assert len(set(noisy.frames)) > 20
    clip = noisy.clip(3)
    assert (clip.fps, clip.width, clip.height) == (30, 1080, 1296)


def test_missing_joints_are_zero_and_mostly_hands(noisy: KeypointSet) -> None:
    missing = noisy.scores == 0
    assert not noisy.keypoints[missing].any()
    hands = np.array([name.endswith("_tip") for name in JOINT])
    ears = np.array([name.endswith("_ear") for name in JOINT])
    assert not missing[:, ~(hands | ears)].any()
    assert 0.05 < missing[:, hands].mean() < 0.35
    # A hand is lost as a whole, as an estimator loses it.
    left = missing[:, [JOINT[f"left_{finger}_tip"] for finger in ("thumb", "index", "pinky")]]
    assert (left.all(1) == left.any(1)).all()


def test_people_stay_in_the_picture(noisy: KeypointSet) -> None:
    found = noisy.scores > 0.4
    x, y = noisy.keypoints[..., 0][found], noisy.keypoints[..., 1][found]
    assert ((x > 0) & (x < 1080) & (y > 0) & (y < 1296)).mean() > 0.999


def test_every_action_is_in_every_split(noisy: KeypointSet) -> None:
    for split, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        chosen = noisy.in_split(split)
        assert set(noisy.labels[chosen]) == set(range(52))
        assert len(chosen) / len(noisy) == pytest.approx(share, abs=0.06)


def test_balanced_actions(noisy: KeypointSet) -> None:
    assert set(Counter(noisy.labels.tolist()).values()) <= {11, 12}


def test_same_configuration_same_bytes(noisy: KeypointSet) -> None:
    assert same(noisy, simulate(SimulationConfig(clips=600, seed=1)))
    assert not same(noisy, simulate(SimulationConfig(clips=600, seed=3)))


@pytest.mark.parametrize("long_tail", [False, True])
@pytest.mark.parametrize("fewer", [1, 255, 257])
def test_a_clip_does_not_depend_on_their_number(long_tail: bool, fewer: int) -> None:
    many = simulate(SimulationConfig(clips=600, seed=1, long_tail=long_tail))
    few = simulate(SimulationConfig(clips=fewer, seed=1, long_tail=long_tail))
    assert same(few, many.select(range(fewer)))


def test_chunks_are_the_set() -> None:
    config = SimulationConfig(clips=1100)
    chunks = list(simulate_chunks(config))
    assert [len(chunk) for chunk in chunks] == [1024, 76]
    assert same(chunks[1], simulate(config).select(range(1024, 1100)))


def test_more_subjects_leave_the_first_ones_alike() -> None:
    from pcan_pose.data.simulate_people import draw_people

    few, many = (draw_people(np.random.default_rng(0), subjects) for subjects in (3, 50))
    np.testing.assert_array_equal(few.size, many.size[:3])
    np.testing.assert_array_equal(few.rest, many.rest[:3])


def test_long_tail_follows_ma52() -> None:
    labels, splits = plan(SimulationConfig(clips=10_240, long_tail=True))
    counts = np.bincount(labels, minlength=52)
    expected = np.array(MA52_TRAIN_COUNTS) / sum(MA52_TRAIN_COUNTS) * len(labels)
    assert counts.min() >= 3
    assert sum(MA52_TRAIN_COUNTS) == 11_250
    np.testing.assert_allclose(counts, np.maximum(expected, 3), atol=3, rtol=0.03)
    for position in range(3):
        assert set(labels[splits == position]) == set(range(52))


def test_counts_are_those_of_the_train_list(shared: Path) -> None:
    lines = (shared / "ma52" / "train_list_videos.txt").read_text().split()[1::2]
    assert np.bincount(np.array(lines, int), minlength=52).tolist() == list(MA52_TRAIN_COUNTS)


def test_clean_motion_belongs_to_the_noisy_clips() -> None:
    exact = simulate(SimulationConfig(clips=300, noise=0))
    clean = clean_clips(SimulationConfig(clips=300, noise=1.0), [299, 0, 257, 0])
    assert clean.clip_ids == ["sim_000299", "sim_000000", "sim_000257", "sim_000000"]
    assert clean.header.dims == 3
    assert clean.header.extra == {"unit": "pixels"}
    assert (clean.scores == 1).all()
    for i, original in enumerate([299, 0, 257, 0]):
        np.testing.assert_array_equal(clean.clip(i).keypoints[..., :2], exact.clip(original).keypoints)
        assert clean.labels[i] == exact.labels[original]


def test_clean_clips_refuses_numbers_out_of_range() -> None:
    with pytest.raises(ConfigError, match="clip number 5, expected 0 to 4"):
        clean_clips(SimulationConfig(clips=5), [0, 5])


def test_noise_grows_with_its_parameter() -> None:
    exact, little, much = (simulate(SimulationConfig(clips=60, noise=noise)) for noise in (0, 0.5, 2.0))
    errors = [
        np.median(np.abs(other.keypoints - exact.keypoints)[(little.scores > 0) & (much.scores > 0)])
        for other in (little, much)
    ]
    assert 0 < errors[0] < errors[1] / 2
    assert (exact.scores == 1).all()
    assert (much.scores == 0).mean() > (little.scores == 0).mean()


def test_picture_size_and_rate_scale_the_clips() -> None:
    large = simulate(SimulationConfig(clips=20, noise=0))
    small = simulate(SimulationConfig(clips=20, noise=0, width=540, height=648))
    np.testing.assert_allclose(small.keypoints * 2, large.keypoints, rtol=1e-3, atol=0.05)
    assert set(simulate(SimulationConfig(clips=20, fps=10)).frames) <= set(range(15, 26))


def closest(clips: KeypointSet, action: str, tip: str, targets: tuple[str, ...]) -> float:
    """Return how near the fingertip of either hand comes to a joint: the median over an action's clips, in metres."""
    nearest = []
    for i in np.flatnonzero(clips.labels == MA52.actions.index(action)):
        joints = clips.clip(i).keypoints[0, ..., :2]
        hips = (joints[:, JOINT["left_hip"]] + joints[:, JOINT["right_hip"]]) / 2
        unit = np.median(np.linalg.norm(joints[:, JOINT["neck"]] - hips, axis=-1)) / HEIGHT_OF_TRUNK
        tips = [joints[:, JOINT[f"{side}_{tip}_tip"]] for side in ("left", "right")]
        gaps = [np.linalg.norm(a - joints[:, JOINT[b]], axis=-1).min() for a in tips for b in targets]
        nearest.append(min(gaps) / unit)
    return float(np.median(nearest))


@pytest.mark.parametrize(
    ("action", "targets", "metres"),
    [
        ("touching nose", ("nose",), 0.01),
        ("rubbing eyes", ("left_eye", "right_eye"), 0.01),
        ("touching ears", ("left_ear", "right_ear"), 0.02),
        ("scratching or touching shoulder", ("left_shoulder", "right_shoulder"), 0.06),
        ("scratching feet", ("left_ankle", "right_ankle"), 0.08),
    ],
)
def test_fingers_reach_their_target(
    textbook: KeypointSet, action: str, targets: tuple[str, ...], metres: float
) -> None:
    assert closest(textbook, action, "index", targets) < metres


def test_hands_stay_away_from_the_face_when_nodding(textbook: KeypointSet) -> None:
    assert closest(textbook, "nodding", "index", ("nose",)) > 0.3


def span(clips: KeypointSet, action: str, joint: str, axis: int) -> float:
    """Return how far a joint moves along an axis, in trunk heights: the median over an action's clips."""
    spans = []
    for i in np.flatnonzero(clips.labels == MA52.actions.index(action)):
        joints = clips.clip(i).keypoints[0]
        trunk = np.linalg.norm(joints[0, JOINT["neck"], :2] - joints[0, JOINT["left_hip"], :2])
        spans.append(np.ptp(joints[:, JOINT[joint], axis]) / trunk)
    return float(np.median(spans))


@pytest.mark.parametrize(
    ("action", "other", "joint", "axis"),
    [
        ("rising up", "sitting straightly", "neck", 1),
        ("turning head", "tiptoe", "nose", 0),
        ("nodding", "tiptoe", "nose", 1),
        ("shrugging", "nodding", "left_shoulder", 1),
        ("crossing legs", "nodding", "left_ankle", 0),
        ("stretching feet", "nodding", "left_ankle", 1),
    ],
)
def test_actions_move_their_joints(textbook: KeypointSet, action: str, other: str, joint: str, axis: int) -> None:
    assert span(textbook, action, joint, axis) > 1.5 * span(textbook, other, joint, axis)


def test_bones_keep_their_length_within_reason(textbook: KeypointSet) -> None:
    # Straight on, foreshortening can only shorten: nothing is longer than its share of the trunk allows.
    joints = textbook.keypoints[..., :2]
    hips = (joints[:, JOINT["left_hip"]] + joints[:, JOINT["right_hip"]]) / 2
    upright = np.linalg.norm(joints[:, JOINT["neck"]] - hips, axis=-1)
    forearm = np.linalg.norm(joints[:, JOINT["left_elbow"]] - joints[:, JOINT["left_wrist"]], axis=-1)
    assert np.quantile(forearm / upright, 0.99) < 1.0


def test_idle_joints_still_move(textbook: KeypointSet) -> None:
    assert 0.0005 < span(textbook, "tiptoe", "nose", 0) < 0.3


def test_every_action_has_a_motion() -> None:
    table = motion_arrays()
    assert sorted(set(table.action.tolist())) == list(range(52))
    assert table.counts.sum() == len(MOTIONS)
    for action, (rows, count) in enumerate(zip(table.variants, table.counts, strict=True)):
        assert set(table.action[rows[:count]]) == {action}


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda motion: motion.action)
def test_motion_names_known_channels_and_frames(motion) -> None:
    known = {*BODY, *LEG, *(f"other_{name}" for name in LEG)}
    assert set(motion.hold) | set(motion.osc) <= known
    for arm in (motion.arm, motion.other):
        assert arm is None or arm.frame in FRAMES
    assert motion.arm or motion.hold or motion.osc


def test_faults_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        SimulationConfig(clips=0, noise=float("nan"), ambiguity=-1, fps=float("inf"))
    assert str(caught.value).splitlines() == [
        "simulation: clips is 0, expected a finite number of at least 1.",
        "simulation: noise is nan, expected a finite number of at least 0.",
        "simulation: ambiguity is -1, expected a finite number of at least 0.",
        "simulation: fps is inf, expected a finite number of at least 4.",
    ]
