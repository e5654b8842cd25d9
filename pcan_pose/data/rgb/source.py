"""The RGB branch's batches: pictures of clips, on the device.

Shapes: B clips of a batch, T frames, S side of a picture.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pcan_pose.config import RGBAugmentConfig
from pcan_pose.data.rgb.augment import change, draw_changes, resize
from pcan_pose.data.rgb.dataset import RGBDataset, middle_offsets, prefetch
from pcan_pose.data.source import ClipSource, Inputs


class RGBSource(ClipSource):
    """Crops on disk; a batch is float32 (B, T, 3, S, S) in [0, 1].

    Args:
        dataset: The clips.
        labels: int64 (N,), -1 where unknown.
        device: Where batches live.
        frames: Frames of a clip, T.
        size: Side of a picture, S.
        augment: What is done to training clips.
    """

    scoring_size = 32  # pictures are large

    def __init__(
        self,
        dataset: RGBDataset,
        labels: Tensor,
        device: torch.device,
        *,
        frames: int = 8,
        size: int = 224,
        augment: RGBAugmentConfig | None = None,
    ) -> None:
        super().__init__(dataset.clip_ids, labels.to(device), device, "rgb")
        self.dataset = dataset
        self._frames, self._size = frames, size
        self._augment = augment or RGBAugmentConfig()

    def training_batches(self, batches: Sequence[Tensor], rows: slice, generator: torch.Generator) -> Iterator[Inputs]:
        """Yield an epoch's batches; see `ClipSource.training_batches`."""
        # Drawn at once and first: the thread that reads ahead needs them before the batch's turn comes, and a GPU is
        # waited for once an epoch instead of once a batch.
        jobs = [
            (clips[rows].cpu(), torch.rand(len(clips), self._frames, generator=generator, device=self.device)[rows])
            for clips in batches
        ]
        jobs = [(clips, offsets.cpu()) for clips, offsets in jobs]
        for clips, crops in zip(batches, self._read(jobs), strict=True):
            changes = draw_changes(len(clips), self._augment, generator).rows(rows)
            yield (change(crops, changes, self._size),)

    def scoring_batches(self, batches: Sequence[Tensor], copies: int) -> Iterator[Inputs]:
        """Yield each batch, the middle frame of each part, then copies of other frames, cut out and mirrored."""
        # Colours and holes are noise for training, not another view of the clip.
        noise = ("brightness", "contrast", "saturation", "erasing")
        views = self._augment.model_copy(update=dict.fromkeys(noise, 0.0))
        offsets, changes = [middle_offsets(1, self._frames)], []
        for copy in range(copies):
            generator = torch.Generator().manual_seed(copy)
            offsets.append(torch.rand(1, self._frames, generator=generator))
            changes.append(draw_changes(1, views, generator).to(self.device))
        jobs = [(clips.cpu(), each.expand(len(clips), -1)) for clips in batches for each in offsets]
        pictures = self._read(jobs)
        for clips in batches:
            yield (resize(next(pictures), self._size),)
            for each in changes:
                yield (change(next(pictures), each.expand(len(clips)), self._size),)

    def _read(self, jobs: Sequence[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
        """Return an iterator over batches on the device, of clips and offsets on the CPU, read ahead."""
        pictures = prefetch(jobs, lambda job: self.dataset.batch(*job, pin=self.device.type == "cuda"))
        return (crops.to(self.device, non_blocking=True) for crops in pictures)
