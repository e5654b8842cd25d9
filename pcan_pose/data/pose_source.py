"""The pose branch's batches: streams of sampled skeletons, and which joints were found, in one view or several.

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

    Of several views a batch has both for each, one after the other; in training each draws its own changes of a clip.

    Args:
        dataset: The clips.
        data: Streams, frames and augmentations.
        views: The same for each view, where they differ in frames, padding and augmentations; none for the one of
            `data`.
    """

    def __init__(
        self, dataset: PoseDataset | MappedDataset, data: DataConfig, views: Sequence[DataConfig] = ()
    ) -> None:
        super().__init__(dataset.clip_ids, dataset.labels, dataset.device, "+".join(data.streams))
        self.dataset = dataset
        self._views = tuple(views) or (data,)

    @classmethod
    def from_set(
        cls, clips: Clips, data: DataConfig, device: torch.device | str, views: Sequence[DataConfig] = ()
    ) -> "PoseSource":
        """Return a set's clips, normalised, and where the configuration says.

        Raises:
            DataError: If clips have no frame, or those on disk cannot be read, or mapped, into memory.
        """
        if isinstance(clips, KeypointSet):
            return cls(PoseDataset.from_set(clips, data, device), data, views)
        if data.memory == "map":
            return cls(MappedDataset(clips, data, device), data, views)
        return cls(PoseDataset.from_index(clips, data, device), data, views)

    def training_batches(self, batches: Sequence[Tensor], rows: slice, generator: torch.Generator) -> Iterator[Inputs]:
        """Yield an epoch's batches; see `ClipSource.training_batches`."""
        dataset = self.dataset
        at_hand = dataset.at_hand([clips[rows] for clips in batches])
        for clips, (near, places) in zip(batches, at_hand, strict=True):
            inputs: list[Tensor] = []
            for view in self._views:
                lengths = _lengths(near, places, view)
                positions = random_positions(
                    len(clips), view.frames, view.augment, generator, rows=rows, lengths=lengths
                )
                sample = _sample(near, places, positions, view)
                keypoints, scores = augment(
                    sample.keypoints,
                    sample.scores,
                    dataset.skeleton,
                    view.augment,
                    generator,
                    rows=rows,
                    batch=len(clips),
                )
                inputs += self._inputs(keypoints, scores, view)
            yield tuple(inputs)

    def scoring_batches(self, batches: Sequence[Tensor], copies: int) -> Iterator[Inputs]:
        """Yield each batch, frames at even distances, then its copies turned, scaled, mirrored and cropped."""
        for near, places in self.dataset.at_hand(batches):
            variants = [self._variants(near, places, copies, view) for view in self._views]
            for samples in zip(*variants, strict=True):
                inputs: list[Tensor] = []
                for sample, view in zip(samples, self._views, strict=True):
                    inputs += self._inputs(sample.keypoints, sample.scores, view)
                yield tuple(inputs)

    def _variants(self, near: RaggedClips, places: Tensor, copies: int, view: DataConfig) -> Iterator[Sample]:
        clips, lengths = len(places), _lengths(near, places, view)
        taken = None if lengths is None else frames_taken(lengths, view.frames)
        yield _sample(near, places, even_positions(clips, view.frames, self.device, taken), view)
        changes = view.augment.model_copy(update={"noise": 0.0, "bone_noise": 0.0, "joint_dropout": 0.0})
        for copy in range(copies):
            generator = torch.Generator(self.device).manual_seed(copy)
            positions = random_positions(1, view.frames, changes, generator, lengths=lengths).expand(clips, -1)
            sample = _sample(near, places, positions, view)
            skeleton = self.dataset.skeleton
            yield Sample(*augment(sample.keypoints, sample.scores, skeleton, changes, generator, batch=1))

    def _inputs(self, keypoints: Tensor, scores: Tensor, view: DataConfig) -> Inputs:
        return network_input(keypoints, scores, self.dataset.skeleton, view), scores > 0


def _lengths(near: RaggedClips, places: Tensor, view: DataConfig) -> Tensor | None:
    """Return the clips' frames, int64 (B,), if short ones are padded."""
    return near.frames[places] if view.short_clips == "pad" else None


def _sample(near: RaggedClips, places: Tensor, positions: Tensor, view: DataConfig) -> Sample:
    if view.short_clips == "stretch":
        return near.sample(places, positions)
    sample = near.sample(places, positions.clamp(max=1))
    return Sample(*blank(sample.keypoints, sample.scores, positions > 1))
