"""What each of two processes does in test_distributed.py: rank, folder and, from there on, configurations as JSON."""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pcan_pose.config import parse_config
from pcan_pose.engine.distributed import Processes, gather
from pcan_pose.engine.global_batch_norm import use_global_batch_norm
from pcan_pose.engine.sources import load_data
from pcan_pose.engine.train import Trainer


def smooth_activations() -> None:
    """Put SiLU in the place of ReLU: one unit that rounding carries over the kink changes a gradient by a per cent."""
    torch.nn.functional.relu = lambda x, inplace=False: torch.nn.functional.silu(x)


def normed(rank: int) -> dict[str, torch.Tensor]:
    """Return outputs, gradients and statistics of two steps through two batch norms, as this process sees them."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, momentum=0.3))
    x = torch.randn(8, 3, 5, 2) * 3 + 1
    target = torch.randn(8, 4, 5, 2)
    use_global_batch_norm(network)
    parallel = DistributedDataParallel(network)
    rows = slice(4 * rank, 4 * rank + 4)
    mine = x[rows].requires_grad_()
    for _ in range(2):
        out = gather(parallel(mine))
        (out - target).square().mean().backward()
    gradients = {f"gradient of {name}": p.grad for name, p in network.named_parameters()}
    return {"out": out.detach(), "gradient of x": gather(mine.grad), **gradients, **network.state_dict()}


def main() -> None:
    """Run everything and let the first process write it."""
    torch.set_num_threads(1)
    smooth_activations()
    rank, folder = int(os.environ["RANK"]), Path(sys.argv[1])
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    mine = Processes(rank, 2, torch.device("cpu"))
    results: dict[str, object] = {"norm": normed(rank), "agree": [mine.agree(-7), mine.agree(rank)]}
    for name, content in json.loads(sys.argv[2]).items():
        config = parse_config(content, name)
        device = torch.device("cpu")
        run = Trainer(config, load_data(config, device), Processes(rank, 2, device), None)
        losses = []
        while run.epoch < config.train.epochs:
            losses.append(run.train_epoch())
            run.epoch += 1
        results[name] = {"losses": losses, **run.state()}
    results["seeds"] = gather(torch.tensor([torch.initial_seed()])).tolist()
    torch.save(results, folder / f"rank{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
