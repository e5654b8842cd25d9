"""The network of a run."""

from collections.abc import Mapping
from typing import Any

import torch

from pcan_pose.config import CommitteeConfig, RunConfig
from pcan_pose.data.streams import input_channels, stream_channels
from pcan_pose.models.build import build_recognizer
from pcan_pose.models.precision import prefers_bfloat16
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.models.rgb.encoder import RGBEncoder
from pcan_pose.models.two_branch import TwoBranch
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import Taxonomy

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""Arithmetic of the encoder by its name in a configuration; `auto` is settled before, by `with_precision`."""


def build_network(
    config: RunConfig,
    taxonomy: Taxonomy,
    *,
    layout: str,
    dims: int,
    action_counts: torch.Tensor | None = None,
    trained: Mapping[str, Any] | None = None,
) -> Recognizer:
    """Return the untrained network of a configuration.

    Args:
        config: The run, its precision settled by `with_precision`.
        taxonomy: The action tree.
        layout: Name of the keypoints' layout.
        dims: Coordinates of a keypoint.
        action_counts: int64 (K_a,), the training split's clips of each action; only training needs them.
        trained: What the checkpoint says of the RGB encoder (`describe_rgb`) if its weights are loaded afterwards.

    Raises:
        ConfigError: If the configuration asks for what there is not.
    """
    encoder, streams = config.encoder, config.data.streams
    members = encoder.members if isinstance(encoder, CommitteeConfig) else ()
    views = config.views
    recognizer = build_recognizer(
        encoder,
        config.head,
        skeleton=skeleton(layout),
        in_channels=input_channels(dims, streams),
        taxonomy=taxonomy,
        precision=PRECISIONS[config.train.precision],
        action_counts=action_counts,
        member_channels=[stream_channels(dims, streams, member.streams) for member in members],
        member_views=[views.index(view) for view in config.member_views] if members else (),
        trained=trained,
    )
    if config.data.rgb is not None and (rgb := rgb_encoder(recognizer)) is not None:
        rgb.check(config.data.rgb.frames, config.data.rgb.size)
    return recognizer


def with_precision(config: RunConfig, device: torch.device) -> RunConfig:
    """Return the configuration with what `train.precision: auto` means: bf16 where the device is faster in it."""
    if config.train.precision != "auto":
        return config
    return config.computing_in("bf16" if prefers_bfloat16(device.type) else "fp32")


def rgb_encoder(recognizer: Recognizer) -> RGBEncoder | None:
    """Return the part of a network that sees pictures, if any."""
    encoder = recognizer.encoder.rgb if isinstance(recognizer.encoder, TwoBranch) else recognizer.encoder
    return encoder if isinstance(encoder, RGBEncoder) else None
