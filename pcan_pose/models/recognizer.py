"""An encoder and the hierarchical head as one network.

Shapes: N clips, M persons, T frames, V joints, C channels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pcan_pose.models.encoder import Encoder
from pcan_pose.models.member_heads import MemberHeads
from pcan_pose.models.pooling import Pool, masked_mean, mean_and_peak
from pcan_pose.models.rgb.encoder import RGBEncoder
from pcan_pose.models.tree_head import Prediction, TreeHead
from pcan_pose.models.two_branch import TwoBranch

Gather = Callable[[Tensor], Tensor]
AnyEncoder = Encoder | RGBEncoder | TwoBranch


class Recognizer(nn.Module):
    """Clips in, logits of both levels out; in training, the losses.

    Args:
        encoder: Gives one feature a clip, of skeletons, pictures or both, and says its width as ``out_features``.
        head: The hierarchical head, or one for each member or branch.
        precision: Arithmetic of the encoder; the head is always in float32.
    """

    def __init__(
        self, encoder: AnyEncoder, head: TreeHead | MemberHeads, precision: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.precision = precision

    def encode(self, *inputs: Tensor, pool: Pool = masked_mean) -> Tensor:
        """Return the pooled features, float32, (N, F) of the mean.

        Args:
            inputs: What the encoder takes; of skeletons the streams (N, M, T, V, C) and the found joints.
            pool: Makes a clip's feature out of those of its frames and joints.
        """
        device = inputs[0].device.type
        with torch.autocast(device, self.precision, enabled=self.precision != torch.float32):
            # Only encoders over skeletons know another pooling than their own.
            features: Tensor = self.encoder(*inputs) if pool is masked_mean else self.encoder(*inputs, pool=pool)
        return features.float()

    def forward(self, *inputs: Tensor) -> Prediction:
        """Return the rectified prediction.

        Args:
            inputs: What the encoder takes; of skeletons the streams (N, M, T, V, C) and the found joints.
        """
        prediction: Prediction = self.head(self.encode(*inputs))
        return prediction


class TrainingStep(nn.Module):
    """The part of a training step that runs forward: what DistributedDataParallel wraps.

    Args:
        recognizer: The network.
        gather: Makes the global batch of this process's rows, differentiably; None in a single process.

    Attributes:
        generator: Of the head's dropout; None takes torch's.
    """

    def __init__(self, recognizer: Recognizer, gather: Gather | None = None) -> None:
        super().__init__()
        self.recognizer = recognizer
        self.gather = gather
        self.generator: torch.Generator | None = None

    def forward(self, *inputs: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """Return the named loss terms of the global batch.

        Args:
            inputs: What the encoder takes, of this process's clips.
            actions: int64, the labels of the global batch.
        """
        head = self.recognizer.head
        pool = mean_and_peak if head.config.embedding_pooling == "published" else masked_mean
        features = self.recognizer.encode(*inputs, pool=pool)  # (N, F) or (N, 2, F)
        if self.gather is not None:
            features = self.gather(features)
        if pool is masked_mean:
            return head.losses(features, actions, generator=self.generator)
        mean, peak = features.unbind(1)
        return head.losses(mean, actions, peak, self.generator)
