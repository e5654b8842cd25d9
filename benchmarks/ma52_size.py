"""A whole training run of MA-52's size: how long it takes, and how near the machine's memory lets it come to less.

    python -m benchmarks.ma52_size --device cuda --set train.compile=reduce-overhead
    python -m benchmarks.ma52_size --set train.epochs=1

Trains configs/ma52_pose.yaml (65 epochs, four streams, 64 frames, the full head) on as many simulated clips as MA-52
has and measures as many as its validation split has after every epoch, as 'pcan-pose train' does, files and all.

The bound is the time that the machine would take to move, at the rate of a large copy, every byte that the operations
of the run's steps read and write when they run one after the other. The eager operations are counted, whatever is
compiled. Measuring the validation split is in the run's time and not in the bound.
"""

import json
import shutil
import tempfile
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.sets import simulated_set
from benchmarks.speed_counts import top_operations, traffic
from benchmarks.speed_machine import Options, conditions, limits
from pcan_pose.atomic import atomic_write
from pcan_pose.config import RunConfig, load_config
from pcan_pose.engine.distributed import Processes, pick_device
from pcan_pose.engine.run_folder import METRICS, read_metrics
from pcan_pose.engine.sources import load_data
from pcan_pose.engine.train import Trainer, train


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, count, print and write the figures."""
    given = _options(arguments)
    device = pick_device(given.device)
    # A fifth of a simulation is val, a fifth test.
    clips = 5 * max(given.val_clips, -(-given.train_clips // 3))
    data = simulated_set(given.work, clips=clips, train_clips=given.train_clips, seed=0)
    config = load_config(
        "ma52_pose",
        [
            "train.val_every=1",
            *given.overrides,
            # Last, as the folder is deleted before the run.
            "name=ma52_size",
            f"output={given.work}",
            f"data.path={data}",
            f"train.device={device}",
        ],
    )
    torch.set_num_threads(config.train.threads or torch.get_num_threads())
    options = Options(device, torch.get_num_threads(), quick=given.quick)
    report = {
        "conditions": conditions(options),
        "overrides": given.overrides,
        **_run(config),
        **_step(config, device),
    }
    report["bound_seconds"] = report["steps"] * report["step_bytes"] / 1e9 / limits(options, options.threads).copy
    report["share_of_bound"] = report["bound_seconds"] / report["seconds"]
    report["steps_share_of_bound"] = report["bound_seconds"] / (report["epochs"] * report["epoch_seconds"])
    with atomic_write(given.out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(_table(report))


def _run(config: RunConfig) -> dict[str, Any]:
    """Return what a run takes, from nothing to the files of the last epoch; its folder is made anew."""
    shutil.rmtree(config.folder, ignore_errors=True)
    start = time.perf_counter()
    folder = train(config)
    seconds = time.perf_counter() - start
    rows = [row for row in read_metrics(folder / METRICS) if row["split"] == "train"]
    return {"epochs": len(rows), "seconds": seconds, "epoch_seconds": median(row["seconds"] for row in rows)}


def _step(config: RunConfig, device: torch.device) -> dict[str, Any]:
    """Return the bytes of one step of the run's loop, eager, and the operations that take its time."""
    eager = config.model_copy(update={"train": config.train.model_copy(update={"compile": False})})
    data = load_data(eager, device)
    run = Trainer(eager, data, Processes(0, 1, device), None)
    steps, batch = run.steps_per_epoch, config.train.batch_size
    run.steps_per_epoch = 1
    run.train_epoch()  # what is made once
    return {
        "train_clips": len(data.train),
        "val_clips": len(data.val or ()),
        "steps": steps * config.train.epochs,
        "clips_per_epoch": steps * batch,
        "step_bytes": traffic(run.train_epoch),
        "profile": dict(top_operations(run.train_epoch, device)),
    }


def _table(report: dict[str, Any]) -> str:
    rows = [
        ("machine", report["conditions"]["machine"]),
        ("clips to train on, to measure", f"{report['train_clips']:,}, {report['val_clips']:,}"),
        ("epochs", str(report["epochs"])),
        ("whole run", f"{report['seconds']:.1f} s"),
        ("one epoch's steps, median", f"{report['epoch_seconds']:.2f} s"),
        ("clips a second in them", f"{report['clips_per_epoch'] / report['epoch_seconds']:,.0f}"),
        ("bytes that a step moves", f"{report['step_bytes'] / 1e9:.2f} GB"),
        ("share of the bound by memory, whole run", f"{report['share_of_bound']:.0%}"),
        ("share of the bound by memory, steps alone", f"{report['steps_share_of_bound']:.0%}"),
        *((f"share of a step's time, {name}", f"{share:.1%}") for name, share in report["profile"].items()),
    ]
    return "\n".join(["| what | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _options(arguments: Sequence[str] | None) -> Namespace:
    made = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    made.add_argument("--train-clips", type=int, default=11_250, help="default: %(default)s, MA-52's")
    made.add_argument("--val-clips", type=int, default=5_586, help="default: %(default)s, MA-52's")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; default: %(default)s")
    made.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the trained run, but for its name, folder, set and device",
    )
    made.add_argument("--quick", action="store_true", help="a short look at the machine's limits")
    made.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pcan_pose_ma52_size")
    made.add_argument("--out", type=Path, default=Path("benchmarks/results/ma52_size.json"))
    return made.parse_args(arguments)


if __name__ == "__main__":
    main()
