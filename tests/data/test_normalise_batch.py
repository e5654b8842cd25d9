from itertools import product

import numpy as np
import pytest
import torch

from pcan_pose.config import DataConfig
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.normalise import normalise
from pcan_pose.data.normalise_batch import normalise_batch, sample_evenly
from pcan_pose.data.transforms import even_positions
from pcan_pose.keypoints import Clip, Header, KeypointSet

FRAMES, PERSONS = 7, 2
SWITCHES = list(
    product(("clip", "first_frame", "frame"), ("body", "none"), (("coco17", 2, False), ("kinect20", 3, True)))
)


def clips(layout: str, dims: int) -> KeypointSet:
    """Clips of one length that lack joints: a few, those that give origin and size, whole frames, a person, all."""
    header = Header(layout=layout, dims=dims, estimator="test")
    random = np.random.default_rng(0)
    shape = (PERSONS, FRAMES, header.skeleton.num_joints)
    made = []
    for i in range(7):
        scores = random.uniform(0.1, 1, shape) * (random.random(shape) > 0.15)
        if i == 1:
            scores[:, :, list(header.skeleton.centre)] = 0
        if i == 2:
            scores[:, :, list(header.skeleton.scale[0][0])] = 0
        if i == 3:
            scores[0, :3] = 0
        if i == 4:
            scores[1] = 0
        if i == 5:
            scores[:] = 0
        if i == 6:
            for one, other in header.skeleton.scale:
                scores[:, :, [*one, *other]] = 0
        keypoints = 300 + 80 * random.normal(size=(*shape, dims))
        made.append(Clip(str(i), keypoints.astype(np.float32), scores.astype(np.float32)))
    return KeypointSet.from_clips(header, made)


def arrays(keypoint_set: KeypointSet) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (len(keypoint_set), PERSONS, FRAMES, *keypoint_set.keypoints.shape[1:])
    return torch.from_numpy(keypoint_set.keypoints.reshape(shape)), torch.from_numpy(
        keypoint_set.scores.reshape(shape[:-1])
    )


@pytest.mark.parametrize(("centre", "scale", "kind"), SWITCHES)
def test_batches_are_normalised_as_sets_are(centre: str, scale: str, kind: tuple[str, int, bool]) -> None:
    layout, dims, turned = kind
    keypoint_set = clips(layout, dims)
    data = DataConfig(path="none", centre=centre, scale=scale, face_camera=turned)
    expected, _ = normalise(keypoint_set, centre=data.centre, scale=scale == "body", face_camera=turned)
    got = normalise_batch(*arrays(keypoint_set), keypoint_set.header.skeleton, data)
    assert torch.isfinite(got).all()
    size = 1 if scale == "body" else 500
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=0, atol=3e-6 * size)


def test_what_lies_at_missing_joints_does_not_matter() -> None:
    keypoint_set = clips("coco17", 2)
    keypoints, scores = arrays(keypoint_set)
    data = DataConfig(path="none")
    filled = torch.where((scores > 0)[..., None], keypoints, torch.nan)
    got = normalise_batch(filled, scores, keypoint_set.header.skeleton, data)
    assert torch.equal(got, normalise_batch(keypoints, scores, keypoint_set.header.skeleton, data))


@pytest.mark.parametrize("frames", [2, 5, 7, 16])
def test_frames_are_sampled_as_sets_are(frames: int) -> None:
    dataset = PoseDataset.from_set(clips("coco17", 2), DataConfig(path="none", persons=PERSONS))
    every = torch.arange(len(dataset))
    expected = dataset.sample(every, even_positions(len(dataset), frames))
    shape = (len(dataset), PERSONS, FRAMES, *dataset.keypoints.shape[1:])
    keypoints, scores = sample_evenly(
        dataset.keypoints.view(shape), dataset.scores.view(shape[:-1]), even_positions(1, frames)[0]
    )
    torch.testing.assert_close(keypoints, expected.keypoints, rtol=0, atol=1e-6)
    torch.testing.assert_close(scores, expected.scores, rtol=0, atol=1e-6)
