import torch
from tiny_runs import Configure, trainer
from torch import nn

from pcan_pose.config import OptimConfig
from pcan_pose.engine.optimizer import build_optimizer


def test_weight_decay_is_for_kernels_and_matrices_only(configure: Configure) -> None:
    run = trainer(configure())
    names = {p: name for name, p in run.recognizer.named_parameters()}
    decayed, free = ({names[p] for p in group["params"]} for group in run.optimizer.param_groups)
    assert run.optimizer.param_groups[1]["weight_decay"] == 0
    assert decayed | free == set(names.values()) and not decayed & free
    assert {
        "encoder.stem.0.weight",
        "encoder.blocks.0.spatial.linear.weight",
        "head.action_embedding.weight",
    } <= decayed
    assert {
        "encoder.stem.1.weight",
        "encoder.input_norm.bias",
        "encoder.blocks.0.spatial.adjacency",
        "head.body_classifier.bias",
    } <= free


def test_optimisers() -> None:
    model = nn.Linear(2, 2)
    sgd = build_optimizer(model, OptimConfig(lr=0.3, momentum=0.8))
    assert isinstance(sgd, torch.optim.SGD) and sgd.defaults["nesterov"] and sgd.defaults["momentum"] == 0.8
    assert not build_optimizer(model, OptimConfig(momentum=0)).defaults["nesterov"]
    adamw = build_optimizer(model, OptimConfig(type="adamw", lr=0.3))
    assert isinstance(adamw, torch.optim.AdamW) and adamw.defaults["lr"] == 0.3
    model.bias.requires_grad_(False)
    assert [len(group["params"]) for group in build_optimizer(model, OptimConfig()).param_groups] == [1, 0]


def test_weight_decay_spares_norms_biases_and_adjacencies_unless_told(configure: Configure) -> None:
    config = configure()
    recognizer = trainer(config).recognizer
    spared = {
        name
        for name, parameter in recognizer.named_parameters()
        if parameter.requires_grad and (parameter.ndim == 1 or name.endswith("adjacency"))
    }
    names = {id(parameter): name for name, parameter in recognizer.named_parameters()}
    decayed, free = build_optimizer(recognizer, config.optim).param_groups
    assert {names[id(parameter)] for parameter in free["params"]} == spared
    assert (decayed["weight_decay"], free["weight_decay"]) == (config.optim.weight_decay, 0)
    everything = config.optim.model_copy(update={"decay_all": True})
    assert build_optimizer(recognizer, everything).param_groups[1]["params"] == []
