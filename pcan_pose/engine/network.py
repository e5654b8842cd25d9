"""The network of a run."""

import torch

from pcan_pose.config import CommitteeConfig, RunConfig
from pcan_pose.data.streams import input_channels, stream_channels
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import Taxonomy

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def build_network(
    config: RunConfig, taxonomy: Taxonomy, *, layout: str, dims: int, action_counts: torch.Tensor | None = None
) -> Recognizer:
    """Return the untrained network of a configuration.

    Args:
        config: The run.
        taxonomy: The action tree.
        layout: Name of the keypoints' layout.
        dims: Coordinates of a keypoint.
        action_counts: int64 (K_a,), the training split's clips of each action; only training needs them.

    Raises:
        ConfigError: If the configuration asks for what there is not.
    """
    encoder, streams = config.encoder, config.data.streams
    members = encoder.members if isinstance(encoder, CommitteeConfig) else ()
    return build_recognizer(
        encoder,
        config.head,
        skeleton=skeleton(layout),
        in_channels=input_channels(dims, streams),
        taxonomy=taxonomy,
        precision=PRECISIONS[config.train.precision],
        action_counts=action_counts,
        member_channels=[stream_channels(dims, streams, member.streams) for member in members],
    )
