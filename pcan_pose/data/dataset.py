"""Clips as one ragged tensor, and batches of them by index gather.

Shapes: N clips of the set, B clips of a batch, M persons, T sampled frames, V joints, C coordinates, R rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pcan_pose.skeleton import Skeleton


@dataclass(frozen=True)
class Sample:
    """A batch of sampled clips.

    Args:
        keypoints: float32 (B, M, T, V, C), normalised; 0 where a joint is missing.
        scores: float32 (B, M, T, V) in [0, 1]; 0 where a joint or a person is missing.
    """

    keypoints: Tensor
    scores: Tensor


@dataclass(eq=False)
class RaggedClips:
    """Clips whose frames lie one after the other, person after person.

    Args:
        skeleton: The layout's joints.
        device: Where the tensors live.
        persons: Persons of a sampled clip, M; who is not there gets score 0.
        keypoints: float32 (R, V, C), normalised; 0 where a joint is missing.
        scores: float32 (R, V); 0 where a joint is missing.
        starts: int64 (N,), the first row of each clip.
        frames: int64 (N,), at least 1.
        num_persons: int64 (N,), who is there, at most M.
    """

    skeleton: Skeleton
    device: torch.device
    persons: int
    keypoints: Tensor
    scores: Tensor
    starts: Tensor
    frames: Tensor
    num_persons: Tensor

    @property
    def dims(self) -> int:
        """Coordinates of a keypoint, C."""
        return self.keypoints.shape[-1]

    def sample(self, clips: Tensor, positions: Tensor) -> Sample:
        """Return clips at fractional positions in time, linearly interpolated between frames.

        Where only one of the two neighbouring frames has a joint, that frame's is taken; a position on a frame has no
        neighbours (`snapped`).

        Args:
            clips: int64 (B,), positions of the clips in the set.
            positions: float32 (B, T) in [0, 1], from the first to the last frame.
        """
        last = (self.frames[clips] - 1)[:, None]  # (B, 1)
        place = snapped(positions * last)  # (B, T)
        before = place.floor().long().clamp(max=last)  # (B, T)
        after = (before + 1).minimum(last)  # (B, T)
        weight = (place - before)[:, None, :, None]  # (B, 1, T, 1)
        person = torch.arange(self.persons, device=self.device)
        there = person < self.num_persons[clips][:, None]  # (B, M)
        # A person who is not there reads the first person's rows and is masked below.
        first_row = self.starts[clips][:, None] + torch.where(there, person, 0) * self.frames[clips][:, None]  # (B, M)
        rows_before, rows_after = ((first_row[:, :, None] + frame[:, None]).flatten() for frame in (before, after))
        shape = (*there.shape, positions.shape[1])  # (B, M, T)

        def rows_of(values: Tensor, rows: Tensor) -> Tensor:
            # One copy a row; indexing by several axes would copy number by number.
            return values.index_select(0, rows).view(*shape, *values.shape[1:])

        scores_before, scores_after = rows_of(self.scores, rows_before), rows_of(self.scores, rows_after)
        # On a frame the weight stays 0, and what is missing there stays missing.
        both = torch.where(scores_after > 0, weight, 0.0)
        weight = torch.where(scores_before > 0, both, weight.sign())  # (B, M, T, V)
        scores = torch.lerp(scores_before, scores_after, weight)  # (B, M, T, V)
        keypoints = torch.lerp(
            rows_of(self.keypoints, rows_before), rows_of(self.keypoints, rows_after), weight[..., None]
        )  # (B, M, T, V, C)
        if self.persons > 1:
            scores = scores * there[..., None, None]
            keypoints = keypoints * there[..., None, None, None]
        return Sample(keypoints, scores)


def snapped(places: Tensor) -> Tensor:
    """Return places in time, in frames, on the frame where rounding alone keeps them a thousandth off it."""
    nearest = places.round()
    return torch.where((places - nearest).abs() < 1e-3, nearest, places)


def class_counts(labels: npt.NDArray[np.int64], num_classes: int) -> npt.NDArray[np.int64]:
    """Return how many clips each class has, int64 (K,); unlabelled clips (-1) are left out."""
    return np.bincount(labels[labels >= 0], minlength=num_classes)
