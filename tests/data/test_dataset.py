from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pcan_pose.config import DataConfig
from pcan_pose.data.dataset import class_counts
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.normalise import normalise
from pcan_pose.data.transforms import even_positions
from pcan_pose.errors import DataError
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.taxonomy import MA52

HEADER = Header(layout="coco17", dims=2, estimator="test", taxonomy=MA52)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_set(sizes: list[tuple[int, int]], missing: float = 0.3, seed: int = 0) -> KeypointSet:
    """Clips of (persons, frames) each."""
    rng = np.random.default_rng(seed)
    clips = []
    for i, (persons, frames) in enumerate(sizes):
        keypoints = rng.normal(size=(persons, frames, 17, 2)) * 100 + 500
        scores = rng.uniform(0.1, 1, (persons, frames, 17)) * (rng.random((persons, frames, 17)) >= missing)
        clips.append(Clip(f"c{i}", keypoints.astype(np.float32), scores.astype(np.float32), ("train",), label=i % 52))
    return KeypointSet.from_clips(HEADER, clips)


def dataset_of(keypoint_set: KeypointSet, **settings: Any) -> PoseDataset:
    return PoseDataset.from_set(keypoint_set, DataConfig(path="none", **settings))


SIZES = [(1, 5), (2, 7), (1, 1), (3, 1), (1, 12)]


def naive_sample(
    keypoint_set: KeypointSet, i: int, positions: np.ndarray, persons: int
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate one clip joint by joint, on the normalised keypoints of the persons that are kept."""
    clip = keypoint_set.clip(i)
    kept = replace(clip, keypoints=clip.keypoints[:persons], scores=clip.scores[:persons])
    keypoints, scores = normalise(KeypointSet.from_clips(HEADER, [kept]))
    have, frames = kept.scores.shape[:2]
    keypoints, scores = keypoints.reshape(have, frames, 17, 2), scores.reshape(have, frames, 17)
    out = np.zeros((persons, len(positions), 17, 2))
    out_scores = np.zeros((persons, len(positions), 17))
    for m in range(min(persons, have)):
        for t, position in enumerate(positions):
            place = position * np.float32(frames - 1)
            if abs(place - round(place)) < 1e-3:
                place = round(place)
            before = int(np.floor(place))
            after = min(before + 1, frames - 1) if place > before else before
            share = place - before
            for v in range(17):
                there = [frame for frame in (before, after) if scores[m, frame, v] > 0]
                if len(there) == 2:
                    out[m, t, v] = (1 - share) * keypoints[m, before, v] + share * keypoints[m, after, v]
                    out_scores[m, t, v] = (1 - share) * scores[m, before, v] + share * scores[m, after, v]
                elif there:
                    out[m, t, v], out_scores[m, t, v] = keypoints[m, there[0], v], scores[m, there[0], v]
    return out, out_scores


@pytest.mark.parametrize("persons", [1, 2, 4])
@pytest.mark.parametrize("frames", [1, 3, 16])
def test_sample_equals_a_naive_interpolation(persons: int, frames: int) -> None:
    keypoint_set = random_set(SIZES)
    dataset = dataset_of(keypoint_set, persons=persons)
    clips = torch.tensor([4, 0, 1, 3, 2, 1])
    positions = torch.rand(6, frames).sort(1).values
    sample = dataset.sample(clips, positions)
    assert sample.keypoints.shape == (6, persons, frames, 17, 2)
    assert sample.scores.shape == (6, persons, frames, 17)
    assert sample.keypoints.dtype == sample.scores.dtype == torch.float32
    for row, i in enumerate(clips.tolist()):
        expected, scores = naive_sample(keypoint_set, i, positions[row].numpy(), persons)
        np.testing.assert_allclose(sample.keypoints[row], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(sample.scores[row], scores, rtol=1e-4, atol=1e-6)


def test_a_complete_clip_sampled_at_its_own_frames_is_itself() -> None:
    keypoint_set = random_set([(2, 9), (1, 9)], missing=0)
    dataset = dataset_of(keypoint_set, persons=2, scale="axes")
    sample = dataset.sample(torch.tensor([0]), even_positions(1, 9))
    keypoints, _ = normalise(keypoint_set, scale=False)
    np.testing.assert_allclose(sample.keypoints[0], keypoints[:18].reshape(2, 9, 17, 2), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(sample.scores[0], keypoint_set.clip(0).scores, rtol=1e-5)


@pytest.mark.parametrize("frames", [8, 13, 29, 97])
@pytest.mark.parametrize("short_clips", ["stretch", "pad"])
def test_sampled_at_its_own_frames_a_clip_keeps_its_gaps(frames: int, short_clips: str) -> None:
    keypoint_set = random_set([(1, frames)], missing=0.3)
    dataset = dataset_of(keypoint_set)
    taken = torch.tensor([[frames]]) if short_clips == "pad" else None
    sample = dataset.sample(torch.tensor([0]), even_positions(1, frames, taken=taken))
    np.testing.assert_array_equal(sample.scores[0] > 0, keypoint_set.clip(0).scores > 0)
    assert not sample.keypoints[sample.scores == 0].any()


@pytest.mark.parametrize("position", [0.0, 1.0, 1.0000001])
def test_the_ends_read_no_other_clips_frames(position: float) -> None:
    keypoint_set = random_set(SIZES, missing=0)
    dataset = dataset_of(keypoint_set, persons=2)
    positions = torch.full((5, 1), position)
    sample = dataset.sample(torch.arange(5), positions)
    for i in range(5):
        expected, _ = naive_sample(keypoint_set, i, np.array([round(position)]), 2)
        np.testing.assert_allclose(sample.keypoints[i], expected, atol=1e-5)


def test_a_joint_is_missing_only_where_both_neighbours_lack_it() -> None:
    keypoints = np.zeros((1, 4, 17, 2), np.float32) + np.arange(4)[:, None, None] * np.float32(2)
    scores = np.ones((1, 4, 17), np.float32)
    scores[0, 1:3, 0] = 0
    keypoint_set = KeypointSet.from_clips(HEADER, [Clip("a", keypoints, scores, label=0)])
    dataset = dataset_of(keypoint_set, scale="axes")
    sample = dataset.sample(torch.tensor([0]), torch.tensor([[0.5 / 3, 1.5 / 3, 2.5 / 3]]))
    assert sample.scores[0, 0, :, 0].tolist() == [1, 0, 1]
    # Frame 0's place and frame 3's, each alone; the clip's origin is at 3.
    torch.testing.assert_close(sample.keypoints[0, 0, :, 0, 0], torch.tensor([-3.0, 0.0, 3.0]))
    torch.testing.assert_close(sample.keypoints[0, 0, :, 1, 0], torch.tensor([-2.0, 0.0, 2.0]))


def test_persons_who_are_not_there_have_score_and_coordinates_zero() -> None:
    sample = dataset_of(random_set(SIZES, missing=0), persons=3).sample(torch.tensor([0, 1]), torch.rand(2, 4))
    assert sample.scores[0, 1:].abs().sum() == sample.keypoints[0, 1:].abs().sum() == 0
    assert sample.scores[1, 2].abs().sum() == 0
    assert (sample.scores[1, :2] > 0).all()


def test_a_person_who_is_not_kept_changes_nothing() -> None:
    keypoint_set = random_set([(2, 6), (1, 4), (3, 5)])
    first = [replace(clip, keypoints=clip.keypoints[:1], scores=clip.scores[:1]) for clip in keypoint_set.clips()]
    clips, positions = torch.arange(3), torch.rand(3, 8)
    sample = dataset_of(keypoint_set, persons=1).sample(clips, positions)
    alone = dataset_of(KeypointSet.from_clips(HEADER, first), persons=1).sample(clips, positions)
    assert torch.equal(sample.keypoints, alone.keypoints) and torch.equal(sample.scores, alone.scores)


def test_attributes() -> None:
    keypoint_set = random_set(SIZES)
    dataset = dataset_of(keypoint_set)
    assert len(dataset) == 5
    assert dataset.dims == 2
    assert dataset.skeleton.name == "coco17"
    assert dataset.clip_ids == [f"c{i}" for i in range(5)]
    assert dataset.labels.tolist() == [0, 1, 2, 3, 4]


def test_clips_without_frames_are_all_named() -> None:
    with pytest.raises(DataError) as error:
        dataset_of(random_set([(1, 3), (1, 0), (0, 4)]))
    assert error.value.faults == tuple(
        f"clip '{name}' has no frame, or no person; leave it out with 'pcan-pose data select --without' ('pcan-pose "
        "data validate' lists all)."
        for name in ("c1", "c2")
    )


def test_the_sets_own_arrays_stay_as_they_are() -> None:
    keypoint_set = random_set(SIZES)
    before = keypoint_set.keypoints.copy(), keypoint_set.scores.copy()
    dataset = dataset_of(keypoint_set)
    dataset.keypoints.zero_(), dataset.scores.zero_()
    np.testing.assert_array_equal(keypoint_set.keypoints, before[0])
    np.testing.assert_array_equal(keypoint_set.scores, before[1])


def test_class_counts_leave_unlabelled_clips_out() -> None:
    assert class_counts(np.array([0, 2, 2, -1]), 4).tolist() == [1, 0, 2, 0]
