"""What an exported file computes: keypoints in pixels in, logits out.

Shapes: N clips, M persons, F frames of a clip, T sampled frames, V joints, C coordinates, K classes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcan_pose.config import DataConfig
from pcan_pose.data.normalise_batch import normalise_batch, sample_evenly
from pcan_pose.data.streams import network_input
from pcan_pose.data.transforms import blank, even_positions, frames_taken
from pcan_pose.models.folding import fold
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.skeleton import Skeleton


class PoseGraph(nn.Module):
    """A trained network over skeletons with everything that comes before it, float32 throughout.

    Args:
        recognizer: The network; its norms are folded.
        skeleton: The joints.
        views: How many frames are sampled, whether short clips are padded, and the streams, for each view of a clip
            that the network takes; all are normalised alike.

    Shapes:
        keypoints (N, M, F, V, C) in the set's units, scores (N, M, F, V) -> (N, K_a), (N, K_b).
    """

    def __init__(self, recognizer: Recognizer, skeleton: Skeleton, views: Sequence[DataConfig]) -> None:
        super().__init__()
        self.recognizer = fold(recognizer)
        self.recognizer.precision = torch.float32
        self.skeleton = skeleton
        self.views = tuple(views)
        for k, view in enumerate(views):
            self.register_buffer(f"positions_{k}", even_positions(1, view.frames)[0].clone())  # (T,)

    @property
    def positions(self) -> list[Tensor]:
        """Where the sampled frames of each view lie, (T,) each in [0, 1]."""
        return [self.get_buffer(f"positions_{k}") for k in range(len(self.views))]

    def forward(self, keypoints: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rectified logits of actions and body parts."""
        keypoints = normalise_batch(keypoints, scores, self.skeleton, self.views[0])
        inputs: list[Tensor] = []
        for view, positions in zip(self.views, self.positions, strict=True):
            sampled, found = _sample(keypoints, scores, positions, view)
            inputs += network_input(sampled, found, self.skeleton, view), found > 0
        prediction = self.recognizer.head(self.recognizer.encode(*inputs, pool=mean_by_product))
        return prediction.action_logits, prediction.body_logits


def _sample(keypoints: Tensor, scores: Tensor, positions: Tensor, view: DataConfig) -> tuple[Tensor, Tensor]:
    """Return the frames that a view takes of each clip, (N, M, T, V, C) and (N, M, T, V)."""
    if view.short_clips == "stretch":
        return sample_evenly(keypoints, scores, positions)
    length = torch.ones_like(scores[:1, 0, :, 0], dtype=torch.int64).sum(1)  # (1,), F
    positions = even_positions(1, view.frames, taken=frames_taken(length, view.frames))  # (1, T)
    return blank(*sample_evenly(keypoints, scores, positions[0].clamp(max=1)), padding=positions > 1)


def mean_by_product(features: Tensor, found: Tensor) -> Tensor:
    """Return `masked_mean`, (N, C), as products of matrices, which every ONNX runtime has.

    ONNX has no adaptive pooling, and this needs no tensor of the features' size.

    Args:
        features: (N * M, C, T', V), after any striding over time.
        found: bool (N, M, T, V).
    """
    persons, frames, joints = found.shape[1:]
    strided = features.shape[2]
    mask = torch.matmul(coverage(int(frames), int(strided)), found.to(features.dtype)) > 0  # (N, M, T', V)
    mask = mask.to(features.dtype).reshape(-1, strided * joints, 1)  # (N * M, T' * V, 1)
    total = torch.matmul(features.flatten(2), mask)  # (N * M, C, 1)
    total = total.reshape(-1, persons, total.shape[1]).sum(1)  # (N, C)
    return total / mask.reshape(-1, persons * strided * joints).sum(1, keepdim=True).clamp(min=1)


def coverage(frames: int, strided: int) -> Tensor:
    """Return which input frames each output frame covers, zeros and ones, float32 (T', T).

    Args:
        frames: T, of the input.
        strided: T', of the output; the ranges are those of adaptive pooling.
    """
    covers = torch.zeros(strided, frames)
    for t in range(strided):
        covers[t, t * frames // strided : math.ceil((t + 1) * frames / strided)] = 1
    return covers
