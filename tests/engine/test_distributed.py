import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import Configure, assert_equal, run_processes, settings, trainer
from torch import nn
from two_processes import smooth_activations

from pcan_pose.config import parse_config, to_yaml
from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.distributed import Processes
from pcan_pose.engine.global_batch_norm import GlobalBatchNorm, use_global_batch_norm
from pcan_pose.engine.run_folder import read_metrics
from pcan_pose.engine.sources import load_data
from pcan_pose.engine.train import Trainer, train
from pcan_pose.models.rgb.checkpointing import checkpointed

CPU = torch.device("cpu")
HERE = Path(__file__).parent

# Head dropout and every augmentation are on in all of them.
RUNS: dict[str, dict[str, Any]] = {
    "sgd": {"train__epochs": 2},
    "adamw": {
        "train__epochs": 1,
        "optim__type": "adamw",
        "optim__lr": 1e-3,
        "optim__clip_norm": 0.5,
        "train__repeats": 2,
        "head__dropout": 0.3,
    },
    "published": {"train__epochs": 1, "head__mode": "as_published"},
    "no calibration": {"train__epochs": 1, "head__calibration": {"enabled": False}, "head__diversity_weight": 0},
    # Ten blocks round more than the others; a smaller rate keeps that below the tolerance.
    "stgcn++": {
        "train__epochs": 1,
        "encoder": {"type": "stgcn++", "base_channels": 12},
        "head__logit_adjustment": 1.0,
        "optim__lr": 0.005,
    },
    "two persons": {"train__epochs": 1, "data__persons": 2, "train__ema": 0, "encoder__groups": 2, "optim__lr": 0.02},
    "mapped files": {"train__epochs": 1, "data__memory": "map"},
    "committee": {
        "train__epochs": 1,
        "encoder": {
            "type": "committee",
            "members": [
                {"streams": [stream], "frames": frames, "encoder": {"widths": [8], "depths": [1], "reduction": 2}}
                for stream, frames in (("joint", None), ("bone", 5))
            ],
        },
    },
}


@pytest.mark.slow
def test_encoders_of_two_processes_draw_their_own_dropout(two_processes: dict[str, Any]) -> None:
    first, second = two_processes["seeds"]
    assert first != second


def test_global_batch_norm_takes_over_weights_and_state_and_evaluates_alike() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Sequential(nn.BatchNorm2d(3, momentum=0.3, eps=1e-3), nn.ReLU()))
    network(torch.randn(4, 2, 5, 2))
    nn.init.normal_(network[1][0].weight)
    network.eval()
    x = torch.randn(4, 2, 5, 2)
    before, state = network(x), {key: value.clone() for key, value in network.state_dict().items()}
    use_global_batch_norm(network)
    assert isinstance(network[1][0], GlobalBatchNorm)
    network.eval()
    torch.testing.assert_close(network(x), before)
    assert_equal(dict(network.state_dict()), state)


def test_global_batch_norm_leaves_frozen_what_is_frozen() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3).requires_grad_(False).eval(), nn.BatchNorm2d(3))
    use_global_batch_norm(network)
    assert [weight.requires_grad for weight in network.parameters()] == [False, False, True, True]
    assert [norm.training for norm in network] == [False, True]


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """Make this process the only one of a group."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_global_batch_norm_of_bfloat16_has_exact_statistics(group: None, layout: torch.memory_format) -> None:
    # A mean that bfloat16 would round by a tenth of the deviation.
    x = (torch.randn(16, 6, 8, 5) * 0.1 + 3.01).bfloat16().to(memory_format=layout)
    norms = nn.BatchNorm2d(6), GlobalBatchNorm(6)
    outs, gradients = [], []
    for norm in norms:
        nn.init.constant_(norm.weight, 0.5)
        own = x.clone().requires_grad_()
        outs.append(norm(own))
        (outs[-1].float() * torch.linspace(-1, 1, x.numel()).view(x.shape)).sum().backward()
        gradients.append(own.grad)
    assert outs[1].dtype == torch.bfloat16 and outs[1].is_contiguous(memory_format=layout)
    torch.testing.assert_close(outs[1], outs[0], rtol=0.01, atol=0.005)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0.02, atol=0.02 * float(gradients[0].abs().max()))
    for name in ("weight", "bias"):
        one, other = (getattr(norm, name).grad for norm in norms)
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-3 * float(one.abs().max()))
    for name in ("running_mean", "running_var"):
        one, other = (getattr(norm, name) for norm in norms)
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-7)


def test_global_batch_norm_counts_a_checkpointed_step_once(group: None) -> None:
    x = torch.randn(16, 6, 8, 5, requires_grad=True)
    # The second pass ends with the last tensor that it saves, here the sigmoid's.
    once, twice = (nn.Sequential(GlobalBatchNorm(6), nn.Sigmoid()) for _ in range(2))
    once(x).square().sum().backward()
    checkpointed(twice, x).square().sum().backward()
    assert_equal(dict(twice.state_dict()), dict(once.state_dict()))
    assert twice[0].num_batches_tracked == 1


@pytest.fixture
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process use the activation that the two processes use."""
    monkeypatch.setattr(torch.nn.functional, "relu", torch.nn.functional.relu)  # to be put back
    smooth_activations()


@pytest.fixture(scope="module")
def two_processes(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what two processes computed together."""
    folder = tmp_path_factory.mktemp("two")
    runs = {name: settings(data_path, folder, **changes) for name, changes in RUNS.items()}
    command = ["-W", "error::FutureWarning", str(HERE / "two_processes.py"), str(folder), json.dumps(runs)]
    for code, output in run_processes(command, [{"RANK": "0"}, {"RANK": "1"}]):
        assert code == 0, output
    first, second = (torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    for name in RUNS:
        assert_equal(first[name], second[name], name)
    return first


@pytest.mark.slow
def test_global_batch_norm_equals_batch_norm_over_the_whole_batch(two_processes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.3))
    x = (torch.randn(8, 3, 5, 2) * 3 + 1).requires_grad_()
    target = torch.randn(8, 4, 5, 2)
    for _ in range(2):
        out = network(x)
        (out - target).square().mean().backward()
    found = two_processes["norm"]
    torch.testing.assert_close(found.pop("out"), out.detach(), rtol=1e-5, atol=1e-6)
    # Each process's gradient is times two: DistributedDataParallel halves those of the weights, not the input's.
    torch.testing.assert_close(found.pop("gradient of x") / 2, x.grad, rtol=1e-4, atol=1e-7)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found.pop(f"gradient of {name}"), parameter.grad, rtol=1e-4, atol=1e-6)
    state = dict(network.state_dict())
    assert found.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_processes_agree_on_a_number_or_all_know_that_they_do_not(two_processes: dict[str, Any]) -> None:
    assert two_processes["agree"] == [True, False]
    assert Processes(0, 1, CPU).agree(3)


def test_the_prior_is_that_of_the_whole_training_split(configure: Configure) -> None:
    config = configure(head__logit_adjustment=1.0)
    data = load_data(config, CPU)
    counts = torch.tensor([(data.train.labels == action).sum() for action in range(4)])
    assert counts.sum() == 24
    for half in (False, True):
        if half:
            data.train.labels[data.train.labels == 3] = 2
            counts = torch.tensor([counts[0], counts[1], counts[2] + counts[3], 1])
        prior = Trainer(config, data, Processes(0, 1, CPU), None).recognizer.head.log_prior
        torch.testing.assert_close(prior, (counts / counts.sum()).log())


@pytest.mark.slow
@pytest.mark.usefixtures("smooth")
@pytest.mark.parametrize("name", RUNS)
def test_two_processes_train_as_one_does(
    two_processes: dict[str, Any], data_path: Path, tmp_path: Path, name: str
) -> None:
    config = parse_config(settings(data_path, tmp_path, **RUNS[name]), name)
    run = trainer(config)
    losses = []
    while run.epoch < config.train.epochs:
        losses.append(run.train_epoch())
        run.epoch += 1
    for together, alone in zip(two_processes[name]["losses"], losses, strict=True):
        assert together == pytest.approx(alone, abs=1e-4)
    state = run.state()
    assert all(int(seen.sum()) > 0 for key, seen in state["model"].items() if key.endswith("body_bank.seen"))
    for part in ("model", "training_model"):
        assert_equal(dict(two_processes[name][part]), dict(state[part]), part, atol=1e-5)


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


START = """
import os, sys
from two_processes import smooth_activations
from pcan_pose.config import load_config
from pcan_pose.engine.train import train

def stop(epoch, epochs, losses):
    if sys.argv[2] == "stop" and epoch == 2:
        os._exit(7)

smooth_activations()
train(load_config(sys.argv[1]), resume=sys.argv[2] == "resume", progress=stop)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("smooth")
def test_a_run_that_torchrun_stopped_and_resumed_equals_an_uninterrupted_one(
    configure: Configure, tmp_path: Path
) -> None:
    # Three epochs let rounding grow; a smaller rate keeps it below the tolerance.
    changes = {"data__val_split": "val", "train__val_every": 1, "optim__lr": 0.02}
    alone = train(configure(name="alone", **changes))
    config = configure(name="together", **changes)
    script, file = tmp_path / "start.py", tmp_path / "together.yaml"
    script.write_text(START)
    file.write_text(to_yaml(config))

    def launch(mode: str) -> tuple[int, str]:
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
        return run_processes([*torchrun, "--master-port", str(free_port()), str(script), str(file), mode], [{}])[0]

    config.folder.mkdir()
    (config.folder / "notes.txt").touch()
    code, output = launch("stop")
    # Every process hears of it, and none of another's end.
    assert code != 0 and output.count("CheckpointError: ") == 2 and "Connection closed by peer" not in output, output
    (config.folder / "notes.txt").unlink()
    code, output = launch("stop")
    assert code != 0 and (config.folder / "last.pt").is_file(), output
    assert load_checkpoint(config.folder / "last.pt")["epoch"] == 1
    code, output = launch("resume")
    assert code == 0, output
    together, single = (load_checkpoint(folder / "last.pt") for folder in (config.folder, alone))
    assert together["epoch"] == 3
    assert_equal(together["model"], single["model"], atol=1e-5)
    together, single = (read_metrics(folder / "metrics.jsonl") for folder in (config.folder, alone))
    assert [(row["epoch"], row["split"]) for row in together] == [(row["epoch"], row["split"]) for row in single]
    for mine, its in zip(together, single, strict=True):
        assert mine["loss" if mine["split"] == "train" else "f1_mean"] == pytest.approx(
            its.get("loss", its.get("f1_mean")), abs=1e-4
        )
