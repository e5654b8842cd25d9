"""Several views of the same clips in one batch, each with its own frames and its own changes."""

import torch
from test_mapped_dataset import mixed_set

from pcan_pose.config import DataConfig
from pcan_pose.data.pose_source import PoseSource

STRETCHED = DataConfig(path="none", frames=6, scale="none", streams=("joint",), augment={"rotation": [0, 0, 60]})
PADDED = STRETCHED.model_copy(
    update={"frames": 9, "short_clips": "pad", "augment": STRETCHED.augment.model_copy(update={"tempo": 0.5})}
)


def test_each_view_is_scored_as_if_it_were_the_only_one() -> None:
    every, clips = mixed_set(), torch.arange(5)
    both = PoseSource.from_set(every, STRETCHED, "cpu", (STRETCHED, PADDED))
    alone = [PoseSource.from_set(every, view, "cpu") for view in (STRETCHED, PADDED)]
    batches = list(both.scoring_batches([clips], 2))
    assert [[part.shape[2] for part in batch] for batch in batches] == [[6, 6, 9, 9]] * 3
    for batch, first, second in zip(batches, *(source.scoring_batches([clips], 2) for source in alone), strict=True):
        for part, expected in zip(batch, (*first, *second), strict=True):
            assert torch.equal(part, expected)


def test_each_view_draws_its_own_changes_in_training() -> None:
    every, batches = mixed_set(), [torch.arange(4), torch.arange(4, 8)]
    source = PoseSource.from_set(every, STRETCHED, "cpu", (STRETCHED, STRETCHED, PADDED))

    def epoch(rows: slice) -> list[tuple[torch.Tensor, ...]]:
        return list(source.training_batches(batches, rows, torch.Generator().manual_seed(0)))

    whole = epoch(slice(None))
    assert [part.shape[2] for part in whole[0]] == [6, 6, 6, 6, 9, 9]
    assert not torch.allclose(whole[0][0], whole[0][2])
    for batch, share in zip(whole, epoch(slice(1, 3)), strict=True):  # what a process of several draws
        assert all(torch.equal(part[1:3], mine) for part, mine in zip(batch, share, strict=True))
