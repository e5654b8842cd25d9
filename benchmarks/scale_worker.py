"""What `benchmarks.scale` measures in processes of their own; each prints one line of JSON.

python -m benchmarks.scale_worker pass CONFIG [KEY=VALUE ...]
torchrun --nproc-per-node 2 -m benchmarks.scale_worker train CONFIG [KEY=VALUE ...]
torchrun --nproc-per-node 1 -m benchmarks.scale_worker train-larger CONFIG [KEY=VALUE ...]
"""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.scale_loader import larger_than_memory, one_epoch
from pcan_pose.config import RunConfig, load_config
from pcan_pose.engine.distributed import processes
from pcan_pose.engine.sources import load_data


def main() -> None:
    """Do what the command line says."""
    what, file, *overrides = sys.argv[1:]
    config = load_config(Path(file), overrides)
    torch.set_num_threads(config.train.threads or 1)
    result = {"pass": pass_over, "train": train, "train-larger": train_larger}[what](config)
    if result is not None:
        print(json.dumps(result))


def pass_over(config: RunConfig) -> dict[str, float]:
    """Return the seconds of reading a set and of the batches of one epoch, and the memory that both took at most.

    The memory is what the process has for itself, beyond what it has when everything is imported. Pages of mapped files
    are not in it: the system takes them back when it needs room.
    """
    before = own_bytes()
    with _watched() as most:
        start = time.perf_counter()
        data = load_data(config, torch.device("cpu"))
        read = time.perf_counter()
        one_epoch(data.train, config.train.batch_size)
        end = time.perf_counter()
    return {
        "read_seconds": read - start,
        "pass_seconds": end - read,
        "own_bytes": max(most) - before,
    }


def train(config: RunConfig) -> dict[str, float] | None:
    """Return the clips a second of the first two epochs, over all processes together, on the first of them."""
    # Imported here: a pass over batches is not to wait for it.
    from pcan_pose.engine.train import Trainer

    with processes(config.train.device) as mine:
        run = Trainer(config, load_data(config, mine.device), mine, None)
        clips = run.steps_per_epoch * config.train.batch_size
        rates = {}
        for epoch in ("first_epoch", "second_epoch"):
            start = time.perf_counter()
            run.train_epoch()
            rates[epoch] = clips / (time.perf_counter() - start)
        return rates if mine.is_first else None


def train_larger(config: RunConfig) -> dict[str, float] | None:
    """Return what `train` does, with a mapped set that is read as if it were larger than memory."""
    with larger_than_memory(config.data):
        return train(config)


def own_bytes() -> int:
    """Return the bytes of main memory that only this process has."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Yield a list that gets `own_bytes` some fifty times a second."""
    seen, stop = [own_bytes()], threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            seen.append(own_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        seen.append(own_bytes())


if __name__ == "__main__":
    main()
