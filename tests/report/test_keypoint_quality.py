from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from small_sets import clip, small_set

from pcan_pose.errors import DataError
from pcan_pose.keypoints import KeypointSet
from pcan_pose.report.keypoint_quality import GAPS, KeypointQuality, measure
from pcan_pose.report.keypoint_quality_plot import plot_keypoint_quality

Floats = npt.NDArray[np.float32]


def ragged_set(seed: int = 0) -> KeypointSet:
    """Return clips of different lengths and numbers of persons in which much is missing."""
    random = np.random.default_rng(seed)
    clips = []
    for i, (persons, frames) in enumerate([(1, 40), (2, 25), (1, 1), (1, 2), (3, 60)]):
        scores = random.uniform(0.1, 1, (persons, frames, 17)).astype(np.float32)
        hidden = random.random(scores.shape) < 0.1
        for _ in range(30):
            m, v, t = random.integers([persons, 17, frames])
            hidden[m, t : t + random.integers(1, 50), v] = True
        scores[hidden] = 0
        clips.append(clip(f"c{i}", persons=persons, frames=frames, scores=scores))
    return small_set(*clips)


def count_gaps(seen: list[bool]) -> dict[str, int]:
    """Return the frames without the joint by kind of gap, found one by one."""
    counts = dict.fromkeys(GAPS, 0)
    for t, here in enumerate(seen):
        if here:
            continue
        before = [s for s in range(t) if seen[s]]
        after = [s for s in range(t, len(seen)) if seen[s]]
        if not before and not after:
            kind = "never found"
        elif not before or not after:
            kind = "at an end"
        else:
            length = after[0] - before[-1] - 1
            limits = {"1": 1, "2": 2, "3 to 5": 5, "6 to 10": 10, "11 to 30": 30, "over 30": 9999}
            kind = next(name for name, limit in limits.items() if length <= limit)
        counts[kind] += 1
    return counts


def test_rates_and_gaps_equal_those_of_a_loop() -> None:
    keypoint_set = ragged_set()
    quality = measure([keypoint_set])
    expected = np.zeros((17, len(GAPS)), np.int64)
    for one in keypoint_set.clips():
        for person in one.scores:
            for v in range(17):
                expected[v] += list(count_gaps((person[:, v] > 0).tolist()).values())
    assert quality.missing.tolist() == expected.tolist()
    assert (expected.sum(0) > 0).all(), "every kind is there"
    assert quality.found.tolist() == (keypoint_set.scores > 0).sum(0).tolist()
    assert quality.sure.tolist() == (keypoint_set.scores >= 0.5).sum(0).tolist()
    assert (quality.clips, quality.rows) == (5, 40 + 50 + 1 + 2 + 180)
    assert (quality.found + quality.missing.sum(1) == quality.rows).all()


def torso(size: float, shake: float, frames: int = 9) -> Floats:
    """Return keypoints (1, T, 17, 2): a body of this size that moves evenly, its nose shaking up and down."""
    keypoints = np.zeros((1, frames, 17, 2), np.float32)
    keypoints[:, :, [5, 6], 1] = -size  # shoulders, above the hips at 0
    keypoints += np.arange(frames, dtype=np.float32)[:, None, None] * 3 + 500
    keypoints[:, ::2, 0, 1] += shake
    return keypoints


def jitter_of(*clips_keypoints: Floats, hidden: tuple[int, ...] = ()) -> npt.NDArray[np.float64]:
    clips = []
    for i, keypoints in enumerate(clips_keypoints):
        one = clip(f"c{i}", frames=keypoints.shape[1], keypoints=keypoints)
        one.scores[..., list(hidden)] = 0
        clips.append(one)
    return measure([small_set(*clips)]).jitter


def test_jitter_is_the_second_difference_in_parts_of_the_body() -> None:
    jitter = jitter_of(torso(100, shake=1))
    np.testing.assert_allclose(jitter[:, 0], 0.02, rtol=0.05)  # up and down again: twice the shake
    assert (jitter[:, 1:] < 1e-6).all(), "even motion is none"
    np.testing.assert_allclose(jitter_of(torso(200, shake=2)), jitter, atol=1e-5)


def test_the_body_has_its_median_size() -> None:
    keypoints = torso(100, shake=1)
    keypoints[:, :2, [5, 6], 1] -= 20
    keypoints[:, 2:5, [5, 6], 1] += 20
    np.testing.assert_allclose(jitter_of(keypoints)[:, 0], 2 / 100, rtol=0.05)


def test_jitter_of_a_clip_without_hips_is_relative_to_the_shoulders() -> None:
    keypoints = torso(100, shake=1)
    keypoints[:, :, 6, 0] += 40
    np.testing.assert_allclose(jitter_of(keypoints, hidden=(11, 12))[:, 0], 2 / 40, rtol=0.05)


def test_jitter_of_a_clip_of_a_head_is_relative_to_its_spread() -> None:
    keypoints = torso(100, shake=1)
    keypoints[:, :, 3, 0] += 30
    keypoints[:, :, 4, 0] -= 30
    spread = np.sqrt(2 * 30**2 / 5)
    jitter = jitter_of(keypoints, hidden=tuple(range(5, 17)))
    np.testing.assert_allclose(jitter[:, 0], 2 / spread, rtol=0.05)
    assert np.isnan(jitter[:, 5:]).all()


def test_quartiles_are_over_all_clips() -> None:
    jitter = jitter_of(*(torso(100, shake=shake) for shake in (1, 2, 3, 4, 5)))
    np.testing.assert_allclose(jitter[:, 0], [0.04, 0.06, 0.08], rtol=0.05)


def test_no_jitter_across_persons_or_gaps() -> None:
    keypoints = np.concatenate([torso(100, 0, frames=4), torso(100, 0, frames=4) + 300])
    one = clip("c", persons=2, frames=4, keypoints=keypoints)
    one.scores[:, 2, 9] = 0
    jitter = measure([small_set(one)]).jitter
    assert np.nanmax(jitter) < 1e-6
    assert np.isnan(jitter[:, 9]).all() and not np.isnan(jitter[:, :9]).any()


def same(one: KeypointQuality, other: KeypointQuality) -> bool:
    return (one.clips, one.rows, one.estimator, one.skeleton) == (
        other.clips,
        other.rows,
        other.estimator,
        other.skeleton,
    ) and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("found", "sure", "missing", "jitter")
    )


def test_shards_do_not_matter() -> None:
    keypoint_set = ragged_set()
    shards = (keypoint_set.select(part) for part in ([0], [], [1, 2, 3], [4]))
    assert same(measure(shards), measure([keypoint_set]))


@pytest.mark.parametrize("shards", [[], [small_set()]])
def test_nothing_to_measure(shards: list[KeypointSet]) -> None:
    with pytest.raises(DataError, match="the set holds no frame; there is nothing to measure."):
        measure(shards)


def test_the_picture_shows_every_joint(tmp_path: Path, figures: list[Figure]) -> None:
    scores = np.full((1, 10, 17), 0.9, np.float32)
    scores[:, :5, 0] = 0.2
    scores[:, 3, 1] = 0
    scores[:, :, 2] = 0
    one = clip("c", frames=10, scores=scores)
    assert plot_keypoint_quality(tmp_path / "q.png", measure([small_set(one)]), "a set") == tmp_path / "q.png"
    gaps, rates, jitter = figures[0].axes
    assert [text.get_text() for text in gaps.texts] == ["0.6%", "0%", "0%", "0%", "0%", "0%", "0%", "5.9%"]
    assert gaps.get_title(loc="left").startswith("Missing: 6.5% of all joints")
    assert [text.get_text() for text in rates.texts[:4]] == ["50%, pale 100%", "90%", "0%", "100%"]
    assert [label.get_text() for label in rates.get_yticklabels()[:2]] == ["nose", "left_eye"]
    assert [text.get_text() for text in jitter.texts] == ["never found"]
    assert figures[0].get_suptitle() == "a set\n1 clip, 10 frames of a person, made up 1.0"


def test_regions_have_colours_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: (saved.append(figure), Path(path).touch()))
    layout = "coco_wholebody133"
    one = clip("c", layout=layout, frames=2)
    one.scores[:, :, [0, 132]] = 0
    plot_keypoint_quality(tmp_path / "q.png", measure([small_set(one, layout=layout)]))
    gaps, rates, jitter = saved[0].axes
    legend = gaps.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["body", "hands", "face"]
    assert [text.get_text() for text in jitter.texts].count("not in three frames in a row") == 131
    colours = [bar.get_facecolor() for bar in rates.patches[-133:]]
    assert [colours.count(colour) for colour in dict.fromkeys(colours)] == [23, 68, 42]


def test_a_still_body_with_every_joint_is_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    still = clip("c", frames=4)
    still.keypoints[:] = still.keypoints[:, :1]
    plot_keypoint_quality(tmp_path / "q.png", measure([small_set(still)]))
    gaps, _, jitter = figures[0].axes
    assert gaps.get_title(loc="left").startswith("Missing: 0%")
    assert not jitter.texts and (tmp_path / "q.png").stat().st_size > 10_000
