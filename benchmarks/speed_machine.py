"""The machine's own limits, and its name."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import torch

import pcan_pose
from benchmarks.measure import device_name
from benchmarks.speed_timing import Task, take_turns
from pcan_pose.engine.network import PRECISIONS
from pcan_pose.models.precision import prefers_bfloat16


@dataclass(frozen=True)
class Options:
    """What a run of the benchmark measures, and how.

    Args:
        device: Where.
        threads: CPU threads of torch, other than where one is said.
        rounds: How often every task has its turn.
        batches: Sizes of a batch, N.
        frames: Frames of a clip, T.
        compile: Whether compiled networks are measured too.
        quick: Whether everything is tiny, to see that it runs; the numbers then say nothing.
    """

    device: torch.device
    threads: int
    rounds: int = 5
    batches: tuple[int, ...] = (16, 64)
    frames: tuple[int, ...] = (64, 100)
    compile: bool = False
    quick: bool = False

    @property
    def turn(self) -> float:
        """The shortest turn of a task, seconds."""
        return 0.001 if self.quick else 0.1

    @property
    def reference(self) -> tuple[int, int]:
        """Clips and frames of the baseline's batch that everything but the encoders is compared with."""
        return (2, 8) if self.quick else (16, 64)


@dataclass(frozen=True)
class Limits:
    """What the machine reaches at most.

    Args:
        gemm: Billions of operations a second of a large matrix product, by precision.
        copy: Billions of bytes a second that a large copy reads and writes, both counted.
    """

    gemm: dict[str, float]
    copy: float


def measures_bfloat16(options: Options) -> bool:
    """Return whether bf16 is measured: where a device is slow in it, in tiny sizes alone."""
    return options.quick or prefers_bfloat16(options.device.type)


@cache
def limits(options: Options, threads: int) -> Limits:
    """Return the limits with so many CPU threads, the median over the rounds; measured once in a process."""
    device = options.device
    size = 256 if options.quick else 8192 if device.type == "cuda" else 2048
    source = torch.ones((1 << 20) if options.quick else (1 << 26), device=device)
    target = torch.empty_like(source)
    factors = {
        name: torch.randn(size, size, device=device).to(dtype)
        for name, dtype in PRECISIONS.items()
        if name != "bf16" or measures_bfloat16(options)
    }
    tasks = [Task((name,), lambda factor=factor: factor @ factor, threads) for name, factor in factors.items()]  # type: ignore[misc]
    tasks.append(Task(("copy",), lambda: target.copy_(source), threads))
    timings = take_turns(tasks, rounds=options.rounds, min_seconds=options.turn)
    gemm = {name: 2 * size**3 / timings.seconds((name,)) / 1e9 for name in factors}
    moved = 2 * source.numel() * source.element_size()
    return Limits(gemm, moved / timings.seconds(("copy",)) / 1e9)


def conditions(options: Options) -> dict[str, Any]:
    """Return what a measurement depends on besides the code: machine, versions, date, threads."""
    return {
        "device": options.device.type,
        "machine": device_name(options.device),
        "cpus": os.cpu_count(),
        "threads": options.threads,
        "rounds": options.rounds,
        "quick": options.quick,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {
            "python": platform.python_version(),
            "pcan-pose": pcan_pose.__version__,
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
