"""The pose branch's batches: streams of sampled skeletons, and which joints were found.

Shapes: B clips of a batch, M persons, T frames, V joints, C channels of the fused streams.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pcan_pose.config import DataConfig
from pcan_pose.data.clip_index import Clips
from pcan_pose.data.dataset import RaggedClips, Sample
from pcan_pose.data.mapped_dataset import MappedDataset
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.source import ClipSource, Inputs
from pcan_pose.data.streams import network_input
from pcan_pose.data.transforms import augment, blank, even_positions, frames_taken, random_positions
from pcan_pose.keypoints import KeypointSet


class PoseSource(ClipSource):
    """Skeletons in memory or on disk; a batch is the streams (B, M, T, V, C) and the found joints, bool (B, M, T, V).

    Args:
        dataset: The clips.
        data: Streams, frames and augmentations.
    """

    def __init__(self, dataset: PoseDataset | MappedDataset, data: DataConfig) -> None:
        super().__init__(dataset.clip_ids, dataset.labels, dataset.device, "+".join(data.streams))
        self.dataset = dataset
        self._data = data

    @classmethod
    def from_set(cls, clips: Clips, data: DataConfig, device: torch.device | str) -> "PoseSource":
        """Return a set's clips, normalised, and where the configuration says.

        Raises:
            DataError: If clips have no frame, or those on disk cannot be read, or mapped, into memory.
        """
        if isinstance(clips, KeypointSet):
            return cls(PoseDataset.from_set(clips, data, device), data)
        if data.memory == "map":
            return cls(MappedDataset(clips, data, device), data)
        return cls(PoseDataset.from_index(clips, data, device), data)

    def training_batches(self, batches: Sequence[Tensor], rows: slice, generator: torch.Generator) -> Iterator[Inputs]:
        """Yield an epoch's batches; see `ClipSource.training_batches`."""
        data, dataset = self._data, self.dataset
        at_hand = dataset.at_hand([clips[rows] for clips in batches])
        for clips, (near, places) in zip(batches, at_hand, strict=True):
            positions = random_positions(
                len(clips), data.frames, data.augment, generator, rows=rows, lengths=self._lengths(near, places)
            )
            sample = self._sample(near, places, positions)
            keypoints, scores = augment(
                sample.keypoints, sample.scores, dataset.skeleton, data.augment, generator, rows=rows, batch=len(clips)
            )
            yield self._inputs(keypoints, scores)

    def scoring_batch(self, clips: Tensor, copies: int) -> Iterator[Inputs]:
        """Yield a batch, frames at even distances, then its copies turned, scaled, mirrored and cropped."""
        for sample in self._variants(clips, copies):
            yield self._inputs(sample.keypoints, sample.scores)

    def _variants(self, clips: Tensor, copies: int) -> Iterator[Sample]:
        data, dataset = self._data, self.dataset
        ((near, places),) = dataset.at_hand([clips])
        lengths = self._lengths(near, places)
        taken = None if lengths is None else frames_taken(lengths, data.frames)
        yield self._sample(near, places, even_positions(len(clips), data.frames, self.device, taken))
        changes = data.augment.model_copy(update={"noise": 0.0, "bone_noise": 0.0, "joint_dropout": 0.0})
        for copy in range(copies):
            generator = torch.Generator(self.device).manual_seed(copy)
            positions = random_positions(1, data.frames, changes, generator, lengths=lengths).expand(len(clips), -1)
            sample = self._sample(near, places, positions)
            yield Sample(*augment(sample.keypoints, sample.scores, dataset.skeleton, changes, generator, batch=1))

    def _lengths(self, near: RaggedClips, places: Tensor) -> Tensor | None:
        """Return the clips' frames, int64 (B,), if short ones are padded."""
        return near.frames[places] if self._data.short_clips == "pad" else None

    def _sample(self, near: RaggedClips, places: Tensor, positions: Tensor) -> Sample:
        if self._data.short_clips == "stretch":
            return near.sample(places, positions)
        sample = near.sample(places, positions.clamp(max=1))
        return Sample(*blank(sample.keypoints, sample.scores, positions > 1))

    def _inputs(self, keypoints: Tensor, scores: Tensor) -> Inputs:
        return network_input(keypoints, scores, self.dataset.skeleton, self._data), scores > 0
