"""The batches of both branches: the same clips as skeletons and as pictures.

Shapes: B clips of a batch.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.rgb.source import RGBSource
from pcan_pose.data.source import ClipSource, Inputs


class BothSource(ClipSource):
    """Skeletons and pictures of the same clips in the same order; a batch is the inputs of both, one after the other.

    Each branch draws its own changes: a clip may be mirrored for one and not for the other.

    Args:
        pose: The skeletons.
        rgb: The pictures.
    """

    def __init__(self, pose: PoseSource, rgb: RGBSource) -> None:
        super().__init__(pose.clip_ids, pose.labels, pose.device, f"{pose.stream}+{rgb.stream}")
        self.pose, self.rgb = pose, rgb
        self.scoring_size = min(pose.scoring_size, rgb.scoring_size)

    def training_batches(self, batches: Sequence[Tensor], rows: slice, generator: torch.Generator) -> Iterator[Inputs]:
        """Yield an epoch's batches; see `ClipSource.training_batches`."""
        pictures = self.rgb.training_batches(batches, rows, generator)
        for pose, rgb in zip(self.pose.training_batches(batches, rows, generator), pictures, strict=True):
            yield (*pose, *rgb)

    def scoring_batches(self, batches: Sequence[Tensor], copies: int) -> Iterator[Inputs]:
        """Yield each batch as it is, and then each changed copy of it; see `ClipSource.scoring_batches`."""
        pictures = self.rgb.scoring_batches(batches, copies)
        for pose, rgb in zip(self.pose.scoring_batches(batches, copies), pictures, strict=True):
            yield (*pose, *rgb)
