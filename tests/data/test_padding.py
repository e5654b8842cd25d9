"""Clips with fewer frames than the network sees keep their pace where the configuration says so."""

import pytest
import torch
from test_mapped_dataset import mixed_set

from pcan_pose.config import DataConfig
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.pose_source import PoseSource


def test_padded_clips_keep_their_pace() -> None:
    every = mixed_set()
    data = DataConfig(path="none", frames=6, short_clips="pad", scale="none", streams=("joint",))
    source = PoseSource.from_set(every, data, "cpu")
    stretched = PoseSource.from_set(every, data.model_copy(update={"short_clips": "stretch"}), "cpu")
    clips = torch.arange(len(every))
    ((x, found),) = source.scoring_batches([clips], 0)
    ((far, _),) = stretched.scoring_batches([clips], 0)
    dataset = source.dataset
    assert isinstance(dataset, PoseDataset) and set(dataset.frames.tolist()) == set(range(1, 8))
    for i, (start, frames) in enumerate(zip(dataset.starts.tolist(), dataset.frames.tolist(), strict=True)):
        if frames >= 6:
            assert torch.equal(x[i], far[i])
        elif frames > 1:
            own, there = dataset.keypoints[start : start + frames], dataset.scores[start : start + frames] > 0
            torch.testing.assert_close(x[i, 0, :frames, :, :2][there], own[there], rtol=0, atol=1e-3)  # pixels
            assert found[i, :, :frames].any() and not found[i, :, frames:].any()
            assert x[i, :, frames:].abs().sum() == 0
        else:  # twice, as half a frame cannot be interpolated
            assert found[i, 0].any(1).tolist() == [True, True, False, False, False, False]


def test_a_tempo_needs_padding() -> None:
    with pytest.raises(ValueError, match="short clips are stretched; set short_clips to pad"):
        DataConfig(path="none", augment={"tempo": 0.2})
    assert DataConfig(path="none", augment={"tempo": 0.2}, short_clips="pad").augment.tempo == 0.2
