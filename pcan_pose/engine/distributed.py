"""Processes: who we are, and a global batch from every process's rows.

Started by torchrun, which sets RANK, WORLD_SIZE and LOCAL_RANK; without it everything here is a single process.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pcan_pose.errors import ConfigError, PcanError

Answer = TypeVar("Answer")


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

    def agree(self, number: int) -> bool:
        """Return whether every process has the same int64 number; waits for all of them."""
        if self.size == 1:
            return True
        mine = torch.tensor([number], device=self.device)
        numbers = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(numbers, mine)
        return len(set(torch.cat(numbers).tolist())) == 1

    def ask_first(self, question: Callable[[], Answer]) -> Answer:
        """Return what the first process finds, in every process; its fault is everybody's.

        Raises:
            PcanError: What the question raises.
        """
        if self.size == 1:
            return question()
        found: list[Any] = [None, None]
        if self.is_first:
            try:
                found[0] = question()
            except PcanError as error:
                found[1] = error
        dist.broadcast_object_list(found, device=self.device)
        if found[1] is not None:
            raise found[1]
        answer: Answer = found[0]
        return answer

    def share(self, count: int) -> Tensor:
        """Return this process's share of so many rows, int64, of one length in all; the last row fills up the rest."""
        length = -(-count // self.size)
        rows = torch.arange(self.rank * length, (self.rank + 1) * length, device=self.device)
        return rows.clamp(max=count - 1)

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
        # The first process writes while the others are done: all leave together.
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
