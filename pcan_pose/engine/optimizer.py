"""The optimiser of a run: which weights decay, and at which rate each learns."""

from collections import defaultdict
from typing import Any

import torch
from torch import nn

from pcan_pose.config import OptimConfig
from pcan_pose.engine.network import rgb_encoder
from pcan_pose.models.recognizer import Recognizer

# Learned graphs are few numbers with a meaning of their own.
_GRAPHS = ("adjacency", "subsets", "importance")


def build_optimizer(model: nn.Module, config: OptimConfig, *, fused: bool = False) -> torch.optim.Optimizer:
    """Return the optimiser; weight decay is for all weights, or not for norms, biases and learned adjacencies.

    With a layer decay below 1 the rates of an RGB encoder's layers fall towards its input: what was trained on
    millions of pictures changes least there.

    Args:
        model: What is trained.
        config: Kind, rate and decay.
        fused: Whether one kernel updates all weights.
    """
    rates = _rates(model, config.layer_decay)
    groups: defaultdict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    for rate in sorted({1.0, *rates.values()}, reverse=True):
        groups[rate, True], groups[rate, False] = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = config.decay_all or (parameter.ndim > 1 and not name.endswith(_GRAPHS))
            groups[rates.get(id(parameter), 1.0), decays].append(parameter)
    options: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": config.weight_decay if decays else 0.0, "lr": config.lr * rate}
        for (rate, decays), parameters in groups.items()
    ]
    if config.type == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(options, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused or None)
    return torch.optim.AdamW(options, lr=config.lr, fused=fused or None)


def _rates(model: nn.Module, decay: float) -> dict[int, float]:
    """Return the relative rates of an RGB encoder's weights, by their identity."""
    encoder = rgb_encoder(model) if isinstance(model, Recognizer) and decay < 1 else None
    layers = [] if encoder is None else encoder.layers()
    return {id(weight): decay ** (len(layers) - i) for i, layer in enumerate(layers) for weight in layer}
