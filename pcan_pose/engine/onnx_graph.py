"""What an exported file computes: keypoints in pixels in, logits out.

Shapes: N clips, M persons, F frames of a clip, T sampled frames, V joints, C coordinates, K classes.
"""

import math

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
        data: Says how clips are normalised, how many frames are sampled, and the streams.

    Shapes:
        keypoints (N, M, F, V, C) in the set's units, scores (N, M, F, V) -> (N, K_a), (N, K_b).
    """

    positions: Tensor

    def __init__(self, recognizer: Recognizer, skeleton: Skeleton, data: DataConfig) -> None:
        super().__init__()
        self.recognizer = fold(recognizer)
        self.recognizer.precision = torch.float32
        self.skeleton = skeleton
        self.data = data
        self.register_buffer("positions", even_positions(1, data.frames)[0].clone())  # (T,)

    def forward(self, keypoints: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rectified logits of actions and body parts."""
        keypoints = normalise_batch(keypoints, scores, self.skeleton, self.data)
        if self.data.short_clips == "stretch":
            keypoints, scores = sample_evenly(keypoints, scores, self.positions)  # (N, M, T, V, C), (N, M, T, V)
        else:
            length = torch.ones_like(scores[:1, 0, :, 0], dtype=torch.int64).sum(1)  # (1,), F
            positions = even_positions(1, self.data.frames, taken=frames_taken(length, self.data.frames))  # (1, T)
            sample = sample_evenly(keypoints, scores, positions[0].clamp(max=1))
            keypoints, scores = blank(*sample, padding=positions > 1)
        x = network_input(keypoints, scores, self.skeleton, self.data)
        prediction = self.recognizer.head(self.recognizer.encode(x, scores > 0, pool=mean_by_product))
        return prediction.action_logits, prediction.body_logits


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
