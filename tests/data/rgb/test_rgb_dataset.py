"""Batches of stored pictures: which frames, in which order, and a thread that ends."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pcan_pose.config import RGBAugmentConfig
from pcan_pose.crop_cache import CropRecord, CropSettings, write_crops
from pcan_pose.data.rgb.dataset import RGBDataset, middle_offsets, prefetch
from pcan_pose.data.rgb.source import RGBSource
from pcan_pose.errors import DataError

FRAMES = (1, 4, 16, 10, 7, 8)
NAMES = [f"clip{i}" for i in range(len(FRAMES))]


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache whose pictures have red = number of the clip and green = number of the frame."""
    folder = tmp_path_factory.mktemp("crops")
    for shard in range(2):
        members = range(shard * 3, shard * 3 + 3)
        records = [CropRecord(NAMES[i], tuple(range(FRAMES[i])), FRAMES[i], (0, 0, 8), 8, 8, 1) for i in members]
        pictures = [np.zeros((FRAMES[i], 8, 8, 3), np.uint8) for i in members]
        for i, clip in zip(members, pictures, strict=True):
            clip[..., 0], clip[..., 1] = i, np.arange(FRAMES[i])[:, None, None]
            clip[..., 2] = np.arange(64).reshape(8, 8)
        write_crops(folder, shard, CropSettings(size=8, frames=None), records, pictures)
    return folder


def seen(batch: torch.Tensor) -> list[tuple[int, list[int]]]:
    """Return each clip's number and its frames' numbers."""
    assert batch.dtype == torch.uint8
    return [(int(clip[0, 0, 0, 0]), clip[:, 0, 0, 1].tolist()) for clip in batch]


def test_middle_frames_of_equal_parts(crops: Path) -> None:
    dataset = RGBDataset(crops, [NAMES[i] for i in (2, 0, 1, 5)])
    assert len(dataset) == 4 and dataset.size == 8
    batch = dataset.batch(torch.tensor([3, 0, 1, 2]), middle_offsets(4, 4))
    assert seen(batch) == [(5, [1, 3, 5, 7]), (2, [2, 6, 10, 14]), (0, [0, 0, 0, 0]), (1, [0, 1, 2, 3])]


def test_random_frames_lie_each_in_its_part(crops: Path) -> None:
    dataset = RGBDataset(crops, NAMES)
    offsets = torch.rand(500, 4)
    frames = torch.tensor([frames for _, frames in seen(dataset.batch(torch.full((500,), 2), offsets))])
    assert (frames // 4 == torch.arange(4)).all()
    assert all(set(frames[:, part].tolist()) == set(range(4 * part, 4 * part + 4)) for part in range(4))
    ends = dataset.batch(torch.tensor([3, 3]), torch.tensor([[0.0] * 3, [1 - 2**-24] * 3]))
    assert seen(ends) == [(3, [0, 3, 6]), (3, [3, 6, 9])]


def test_missing_clips_are_named(crops: Path) -> None:
    with pytest.raises(DataError, match="1 of 2 clips have no crops: other"):
        RGBDataset(crops, ["clip0", "other"])


def test_prefetch_keeps_the_order_and_works_in_advance() -> None:
    begun: list[int] = []

    def work(job: int) -> int:
        begun.append(job)
        return job * job

    batches = prefetch(range(6), work, ahead=2)
    assert next(batches) == 0
    deadline = time.monotonic() + 5
    while len(begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    # One given, two waiting, one that finds no room.
    assert begun == [0, 1, 2, 3]
    assert list(batches) == [1, 4, 9, 16, 25]
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_prefetch_ends_when_it_is_left_and_raises_what_was_raised() -> None:
    batches = prefetch(range(100), lambda job: job)
    assert next(batches) == 0
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]

    def jobs() -> Iterator[int]:
        yield 1
        raise DataError("gone")

    batches = prefetch(jobs(), lambda job: job)
    assert next(batches) == 1
    with pytest.raises(DataError, match="gone"):
        next(batches)


AUGMENT = RGBAugmentConfig(scale=(0.5, 1.0), flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, erasing=0.5)


def source(crops: Path, **options: object) -> RGBSource:
    dataset = RGBDataset(crops, NAMES)
    options = {"frames": 2, "size": 8, "augment": AUGMENT} | options
    return RGBSource(dataset, torch.arange(len(NAMES)), torch.device("cpu"), **options)


def epoch(clips: RGBSource, seed: int, rows: slice = slice(None)) -> torch.Tensor:
    batches = [torch.tensor([0, 5, 2, 3]), torch.tensor([4, 1, 2, 2])]
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([inputs[0] for inputs in clips.training_batches(batches, rows, generator)])


def test_an_epoch_follows_from_its_seed(crops: Path) -> None:
    first = epoch(source(crops), 1)
    assert first.shape == (2, 4, 2, 3, 8, 8) and first.dtype == torch.float32
    assert torch.equal(first, epoch(source(crops), 1))
    assert not torch.equal(first, epoch(source(crops), 2))


def test_processes_share_the_global_batch(crops: Path) -> None:
    whole = epoch(source(crops), 1)
    parts = [epoch(source(crops), 1, slice(2 * rank, 2 * rank + 2)) for rank in range(2)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-6)


def test_an_epoch_can_be_left_early(crops: Path) -> None:
    batches = source(crops).training_batches([torch.arange(4)] * 9, slice(None), torch.Generator())
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_scores_do_not_depend_on_the_clips_around(crops: Path) -> None:
    clips = source(crops)
    together = [inputs[0] for inputs in clips.scoring_batches([torch.tensor([5, 1, 2])], copies=2)]
    alone = [inputs[0] for inputs in clips.scoring_batches([torch.tensor([2])], copies=2)]
    assert len(together) == len(alone) == 3
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours[2:], theirs, rtol=0, atol=1e-6)
    expected = clips.dataset.batch(torch.tensor([2]), middle_offsets(1, 2)).permute(0, 1, 4, 2, 3) / 255
    torch.testing.assert_close(alone[0], expected)
    assert not torch.equal(alone[1], alone[2])
