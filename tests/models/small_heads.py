"""A small tree with its head, and clips for it."""

from typing import Any

import torch

from pcan_pose.config import HeadConfig
from pcan_pose.models.tree_head import TreeHead
from pcan_pose.taxonomy import Taxonomy

TREE = Taxonomy("tiny", ("nod", "shake", "wave", "point", "kick"), ("head", "hand", "leg"), (0, 0, 1, 1, 2))
TERMS = {"loss", "action", "body", "tree", "action_calibration", "body_calibration", "diversity"}


def make(features: int = 8, **config: Any) -> TreeHead:
    settings = {"action_embedding": 6, "body_embedding": 4} | config
    return TreeHead(features, TREE, HeadConfig.model_validate(settings))


def batch(clips: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(clips, 8), torch.arange(clips) % 5
