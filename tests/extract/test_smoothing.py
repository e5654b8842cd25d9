import math
import pickle

import numpy as np
import numpy.typing as npt
import pytest

from pcan_extract.smoothing import Processing, interpolate_gaps, one_euro
from pcan_pose.errors import ConfigError

Floats = npt.NDArray[np.float32]


def tracks(seed: int = 0, missing: float = 0.0, frames: int = 30) -> tuple[Floats, Floats]:
    """Return keypoints (2, T, 3, 2) and scores (2, T, 3) of wandering joints; 0 where a joint is missing."""
    random = np.random.default_rng(seed)
    keypoints = random.normal(size=(2, frames, 3, 2)).cumsum(1) * 3 + 200
    scores = random.uniform(0.2, 1, (2, frames, 3)) * (random.random((2, frames, 3)) >= missing)
    return np.where(scores[..., None] > 0, keypoints, 0).astype(np.float32), scores.astype(np.float32)


def one_joint(*scores: float) -> tuple[Floats, Floats]:
    """Return a joint that is at (frame squared, 100) where it is found: keypoints (1, T, 1, 2), scores (1, T, 1)."""
    given = np.array(scores, np.float32)
    places = np.stack([np.arange(len(scores)) ** 2, np.full(len(scores), 100)], -1).astype(np.float32)
    return np.where(given[:, None] > 0, places, 0)[None, :, None], given[None, :, None]


def test_short_gaps_are_filled_on_a_line_with_half_the_lower_score() -> None:
    keypoints, scores = interpolate_gaps(*one_joint(0.8, 0, 0, 0.6, 0, 1, 0, 0, 0, 1), longest=2)
    assert keypoints[0, :, 0, 0].tolist() == [0, 3, 6, 9, 17, 25, 0, 0, 0, 81]
    np.testing.assert_allclose(scores[0, :, 0], [0.8, 0.3, 0.3, 0.6, 0.3, 1, 0, 0, 0, 1])


def test_ends_are_not_gaps() -> None:
    given = one_joint(0, 1, 0, 0)
    for got, kept in zip(interpolate_gaps(*given, longest=9), given, strict=True):
        assert (got == kept).all()
    empty = one_joint()
    assert interpolate_gaps(*empty, longest=9)[1].shape == (1, 0, 1)


def test_gaps_equal_those_of_a_loop() -> None:
    keypoints, scores = tracks(missing=0.5)
    expected, expected_scores = keypoints.copy(), scores.copy()
    for m, v in np.ndindex(2, 3):
        found = np.flatnonzero(scores[m, :, v])
        for a, b in zip(found[:-1], found[1:], strict=True):
            if 1 < b - a <= 4:
                times = np.arange(a + 1, b)
                for c in range(2):
                    expected[m, times, v, c] = np.interp(times, [a, b], keypoints[m, [a, b], v, c])
                expected_scores[m, times, v] = scores[m, [a, b], v].min() / 2
    got, got_scores = interpolate_gaps(keypoints, scores, 3)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    np.testing.assert_allclose(got_scores, expected_scores)
    assert 0 < (got_scores > 0).sum() - (scores > 0).sum() < (scores == 0).sum()
    assert got.dtype == got_scores.dtype == np.float32


def filter_joint(places: Floats, fps: float, min_cutoff: float, beta: float) -> Floats:
    """Return (T, 2) smoothed, word by word after the paper's algorithm 1, the cutoff following the joint's speed."""

    def alpha(cutoff: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau * fps)

    filtered, speed = places[0].astype(float), np.zeros(2)
    result = [filtered]
    for place in places[1:]:
        derivative = (place - filtered) * fps
        speed = alpha(1.0) * derivative + (1 - alpha(1.0)) * speed
        share = alpha(min_cutoff + beta * math.hypot(*speed))
        filtered = share * place + (1 - share) * filtered
        result.append(filtered)
    return np.array(result, np.float32)


def test_one_euro_equals_the_papers_algorithm_on_each_stretch() -> None:
    keypoints, scores = tracks(missing=0.2)
    got = one_euro(keypoints, scores, 25.0, 1.2, 0.05)
    stretches = 0
    for m, v in np.ndindex(2, 3):
        found = np.flatnonzero(scores[m, :, v])
        for stretch in np.split(found, np.flatnonzero(np.diff(found) > 1) + 1):
            expected = filter_joint(keypoints[m, stretch, v], 25.0, 1.2, 0.05)
            np.testing.assert_allclose(got[m, stretch, v], expected, rtol=1e-5)
            stretches += 1
    assert stretches > 12
    assert (got[scores == 0] == 0).all()
    assert got.dtype == np.float32 and got.flags.c_contiguous


def test_one_euro_calms_a_joint_at_rest_and_keeps_up_with_a_fast_one() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(1, 300, 1, 2))
    moving = np.arange(300)[None, :, None, None] * 20.0
    found = np.ones((1, 300, 1), np.float32)
    calm = one_euro(noise.astype(np.float32), found, 30.0, 0.5, 0.05)
    assert calm[0, 50:].std() < 0.4 * noise[0, 50:].std()
    lag = moving - one_euro(moving.astype(np.float32), found, 30.0, 0.5, 0.05)
    slow = moving - one_euro(moving.astype(np.float32), found, 30.0, 0.5, 0.0)
    assert lag[0, 100:].max() < 10 < 100 < slow[0, 100:].max()


def test_one_euro_turns_with_the_picture() -> None:
    keypoints, scores = tracks()
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]], np.float32)
    np.testing.assert_allclose(
        one_euro(keypoints @ turn, scores, 30, 1, 0.1), one_euro(keypoints, scores, 30, 1, 0.1) @ turn, rtol=1e-4
    )


def test_processing_fills_before_it_smooths() -> None:
    keypoints, scores = tracks(missing=0.2)
    filled = interpolate_gaps(keypoints, scores, 2)
    got, got_scores = Processing(interpolate=2, smooth=(1.0, 0.01))(keypoints, scores, 30.0)
    assert (got == one_euro(*filled, 30.0, 1.0, 0.01)).all() and (got_scores == filled[1]).all()
    kept = Processing()(keypoints, scores, 30.0)
    assert kept[0] is keypoints and kept[1] is scores


def test_processing_without_people_or_frames() -> None:
    processing = Processing(interpolate=2, smooth=(1.0, 0.01))
    for shape in ((0, 5, 3), (1, 0, 3), (1, 1, 3)):
        keypoints, scores = processing(np.ones((*shape, 2), np.float32), np.ones(shape, np.float32), 30.0)
        assert keypoints.shape == (*shape, 2) and scores.shape == shape


def test_settings_name_what_is_done() -> None:
    assert Processing().settings == {}
    processing = Processing(interpolate=5, smooth=(1.0, 0.007))
    assert processing.settings == {"interpolate": "5", "smooth": "1,0.007"}
    assert pickle.loads(pickle.dumps(processing)) == processing


def test_values_out_of_range_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Processing(interpolate=-1, smooth=(0.0, -0.1))
    assert caught.value.faults == (
        "interpolate must be at least 0 frames, got -1.",
        "smooth: the lowest cutoff must be a number above 0 Hz, got 0.",
        "smooth: beta must be a number of at least 0, got -0.1.",
    )
    with pytest.raises(ConfigError, match="got nan"):
        Processing(smooth=(math.nan, 0))
