"""What runs a run's tasks: processes on this machine, or Ray's actors on many."""

import os
from pathlib import Path

from pcan_extract.backends import PoseBackend
from pcan_extract.estimation import ClipOptions
from pcan_extract.pool import Workers
from pcan_extract.run import Engine, Task
from pcan_extract.staging import Staging
from pcan_extract.worker import ExtractTask, Outcome, run_task, start_worker
from pcan_pose.errors import ConfigError, did_you_mean

ENGINES = ("local", "ray")
"""Names that `create_engine` knows."""


def create_engine(
    name: str,
    workers: int | None,
    backend: PoseBackend,
    staging: Staging,
    options: ClipOptions,
    *,
    address: str | None = None,
    gpus: float = 0.0,
) -> tuple[Engine, bool]:
    """Return what runs the tasks, and whether a single process gets them one after the other.

    Args:
        name: One of `ENGINES`.
        workers: Processes, >= 1. None for one a CPU, or a single one if each needs a GPU.
        backend: The backend, not yet entered.
        staging: Where clips are stored.
        options: What is made of an estimate.
        address: Ray cluster to join, or None.
        gpus: GPUs that each process needs.

    Raises:
        ConfigError: If there is no such engine, or an address for an engine that has none.
        MissingDependencyError: If its packages are not installed.
    """
    arguments = (backend, staging, options)
    match name:
        case "local":
            if address is not None:
                raise ConfigError(f"address {address!r} is for engine 'ray'; leave it out.")
            count = workers or (1 if gpus else available_cpus())
            return Workers(run_task, count, start_worker, arguments), count == 1
        case "ray":
            from pcan_extract.ray_workers import RayWorkers

            def written(task: Task, outcomes: list[Outcome]) -> list[Path]:
                if not isinstance(task, ExtractTask):
                    return []
                done = [video for video, each in zip(task.videos, outcomes, strict=True) if each.error is None]
                return [staging.staged(video.clip_id) for video in done]

            engine: RayWorkers[Task, list[Outcome]] = RayWorkers(
                run_task, workers, start_worker, arguments, address=address, gpus=gpus, written=written
            )
            return engine, False
        case _:
            raise ConfigError(f"unknown engine {name!r}.{did_you_mean(name, ENGINES)}")


def available_cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
