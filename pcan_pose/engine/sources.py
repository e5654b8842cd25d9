"""The clips of a run: what it trains on and what it is measured on."""

import logging
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from pcan_pose.config import EfficientNetConfig, RunConfig, TwoBranchConfig, VideoTransformerConfig
from pcan_pose.data.both_source import BothSource
from pcan_pose.data.clip_index import ClipIndex, read_index
from pcan_pose.data.dataset import class_counts
from pcan_pose.data.memory import explained
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.rgb.dataset import RGBDataset
from pcan_pose.data.rgb.source import RGBSource
from pcan_pose.data.source import ClipSource
from pcan_pose.engine.branches import Branch
from pcan_pose.errors import ConfigError, DataError, first_names
from pcan_pose.keypoints import Header
from pcan_pose.taxonomy import Taxonomy

Clips = TypeVar("Clips", ClipIndex, ClipSource)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData(Generic[Clips]):
    """What a run trains on and measures: clips whose keypoints are on disk still, or as a network takes them.

    Args:
        train: Clips with labels.
        val: Clips to measure, or None.
        taxonomy: The action tree.
        header: What the keypoint set says of itself.
    """

    train: Clips
    val: Clips | None
    taxonomy: Taxonomy
    header: Header

    @property
    def action_counts(self) -> torch.Tensor:
        """Training clips of each action, int64 (K_a,)."""
        labels = torch.as_tensor(self.train.labels).cpu().numpy()
        return torch.from_numpy(class_counts(labels, self.taxonomy.num_actions))


def load_data(config: RunConfig, device: torch.device) -> TrainingData[ClipSource]:
    """Return the clips of a configuration on a device.

    Raises:
        DataError: As `choose_clips`, or if clips cannot be read.
        ConfigError: As `choose_clips`.
    """
    return load_chosen(choose_clips(config), config, device)


def load_chosen(chosen: TrainingData[ClipIndex], config: RunConfig, device: torch.device) -> TrainingData[ClipSource]:
    """Return clips that `choose_clips` gave on a device.

    Raises:
        DataError: If clips cannot be read.
    """
    train = make_source(chosen.train, config, device)
    val = None if chosen.val is None else make_source(chosen.val, config, device)
    return TrainingData(train, val, chosen.taxonomy, chosen.header)


def choose_clips(config: RunConfig) -> TrainingData[ClipIndex]:
    """Return which clips a configuration means, without their keypoints.

    Raises:
        DataError: If the set has no taxonomy, a split is empty, or clips have no label or an unknown one.
        ConfigError: If there are fewer clips than one batch needs.
    """
    keypoint_set = read_index(config.data.path)
    taxonomy = keypoint_set.header.taxonomy
    if taxonomy is None:
        raise DataError(f"{config.data.path}: the set has no taxonomy, so its labels mean nothing; import it with one.")
    training = keypoint_set.select(keypoint_set.in_split(config.data.train_split))
    outside = np.flatnonzero((training.labels < 0) | (training.labels >= taxonomy.num_actions))
    if len(outside):
        names = first_names([training.clip_ids[i] for i in outside])
        raise DataError(
            f"{config.data.path}: {len(outside)} clips of split {config.data.train_split!r} have no label in "
            f"0..{taxonomy.num_actions - 1}: {names}; label them, or leave "
            "them out with 'pcan-pose data select --without'."
        )
    if len(training) * config.train.repeats < config.train.batch_size:
        raise ConfigError(
            f"train.batch_size {config.train.batch_size} is more than the {len(training)} clips of split "
            f"{config.data.train_split!r} x train.repeats {config.train.repeats}; lower it."
        )
    val = None
    if config.data.val_split is not None:
        val = keypoint_set.select(keypoint_set.in_split(config.data.val_split))
        if (val.labels < 0).all() or (val.labels >= taxonomy.num_actions).any():
            raise DataError(
                f"{config.data.path}: split {config.data.val_split!r} cannot be measured, its clips have no label or "
                f"one outside 0..{taxonomy.num_actions - 1}; label them, or set data.val_split=null."
            )
        if shared := {*training.clip_ids} & {*val.clip_ids}:
            log.warning(
                "%d of the %d clips of split %r are trained on: what it measures is no measure of new clips.",
                len(shared),
                len(val),
                config.data.val_split,
            )
    return TrainingData(training, val, taxonomy, keypoint_set.header)


def make_source(
    keypoint_set: ClipIndex, config: RunConfig, device: torch.device | str, branch: Branch | None = None
) -> ClipSource:
    """Return a set's clips as the run's encoder takes them.

    Args:
        keypoint_set: The clips.
        config: The run.
        device: Where the batches live.
        branch: Which branch of two will take them; None for all that the run has.

    Raises:
        DataError: If clips cannot be used.
    """
    match config.encoder:
        case EfficientNetConfig() | VideoTransformerConfig():
            return _pictures(keypoint_set, config, device)
        case TwoBranchConfig() if branch == "rgb":
            return _pictures(keypoint_set, config, device)
        case TwoBranchConfig() if branch is None:
            return BothSource(_skeletons(keypoint_set, config, device), _pictures(keypoint_set, config, device))
        case _:
            return _skeletons(keypoint_set, config, device)


def _skeletons(keypoint_set: ClipIndex, config: RunConfig, device: torch.device | str) -> PoseSource:
    with explained(keypoint_set.path):
        return PoseSource.from_set(keypoint_set, config.data, device, config.views)


def _pictures(keypoint_set: ClipIndex, config: RunConfig, device: torch.device | str) -> RGBSource:
    rgb = config.data.rgb
    if rgb is None:
        raise ConfigError("data.rgb is missing; name the crops as data.rgb.crops.")
    return RGBSource(
        RGBDataset(rgb.crops, keypoint_set.clip_ids),
        torch.from_numpy(keypoint_set.labels),
        torch.device(device),
        frames=rgb.frames,
        size=rgb.size,
        augment=rgb.augment,
    )
