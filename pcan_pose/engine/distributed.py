"""Processes: who we are, a global batch from every process's rows, and batch norm over the global batch.

Started by torchrun, which sets RANK, WORLD_SIZE and LOCAL_RANK; without it everything here is a single process.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pcan_pose.errors import ConfigError


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Args:
        rank: 0 to size - 1.
        size: How many processes there are.
        device: The device of this process.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """Return this process's rows of a global batch.

        Raises:
            ConfigError: If the batch cannot be cut into equal parts.
        """
        if batch % self.size:
            raise ConfigError(f"train.batch_size {batch} is not a multiple of the {self.size} processes.")
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share)


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, and leave them at the end.

    Args:
        device: auto, cpu, cuda or cuda:N; with several processes cuda means one device for each.

    Raises:
        ConfigError: If there is no such device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = pick_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield Processes(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), chosen)
        # The first process measures and writes while the others are done: all leave together.
        dist.barrier()
    finally:
        # What still refers to the group in a cycle would end its threads after it, at the interpreter's exit.
        gc.collect()
        dist.destroy_process_group()


def pick_device(device: str, local_rank: int = 0) -> torch.device:
    """Return the device of a name.

    Args:
        device: auto, cpu, cuda or cuda:N.
        local_rank: Which device of this machine plain ``cuda`` means.

    Raises:
        ConfigError: If there is no such device here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"train.device: {device!r} is not a device; expected auto, cpu, cuda or cuda:N.") from error
    if chosen.type not in ("cpu", "cuda"):
        raise ConfigError(f"train.device: {device!r} is not supported; expected auto, cpu, cuda or cuda:N.")
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(
                f"train.device: {device!r} was asked for, but torch finds no CUDA device; set train.device=cpu."
            )
        chosen = torch.device("cuda", chosen.index if chosen.index is not None else local_rank)
        if chosen.index >= (devices := torch.cuda.device_count()):
            raise ConfigError(
                f"train.device: {str(chosen)!r} was asked for, but there are {devices} CUDA devices, from 0."
            )
        torch.cuda.set_device(chosen)
    return chosen


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        # Every process computes the same global loss, so its own rows' gradient is whole. DistributedDataParallel then
        # divides by the number of processes, which this multiplication undoes.
        share = gradients[0].shape[0] // dist.get_world_size()
        return gradients[0].narrow(0, dist.get_rank() * share, share) * dist.get_world_size()


def gather(rows: Tensor) -> Tensor:
    """Return the rows of all processes in rank order, (N, ...); differentiable with respect to this process's rows."""
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class GlobalBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the batch of all processes, on any device; torch's own needs a GPU.

    Evaluation and the state's names are those of the layer that it replaces.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Take any shape (N, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Return the normalised input, (N, C, ...)."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = x.new_full((1,), x.numel() / x.shape[1])
        sums: Tensor = _Sum.apply(torch.cat([x.sum(axes), count]))  # type: ignore[no-untyped-call]  # (C + 1,)
        total = sums[-1].detach()
        mean = sums[:-1] / total
        squares: Tensor = _Sum.apply((x - mean.view(shape)).square().sum(axes))  # type: ignore[no-untyped-call]
        variance = squares / total
        with torch.no_grad():
            momentum = self.momentum if self.momentum is not None else 0.1
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * total / (total - 1), momentum)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        x = (x - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
        return (x * self.weight.view(shape) + self.bias.view(shape)).to(input.dtype)


def use_global_batch_norm(module: nn.Module) -> None:
    """Replace every batch norm inside a module by one over the batch of all processes, keeping weights and state."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            norm = GlobalBatchNorm(child.num_features, child.eps, child.momentum)
            norm.load_state_dict(child.state_dict())
            setattr(module, name, norm.to(child.weight.device))
        else:
            use_global_batch_norm(child)
