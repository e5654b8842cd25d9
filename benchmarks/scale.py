"""What larger sets and more processes cost: mapped files against memory, two processes against one, growing sets.

    python -m benchmarks.scale --plot docs/images/scale.png
    python -m benchmarks.scale --only loader --only growth --sizes 1000 10000 100000 1000000

Three things, on sets of random numbers (coco17, one person, clips of `--frames` frames, of `--training-frames` for the
second; small skeletons). Each is written to the JSON as soon as it is measured, and growth after every size; what the
file has of the others stays.

- loader: batches a second without a network, from memory and from mapped files, these in the system's page cache and
  read from disk. The ways take turns.
- training: the default encoder with one and with two processes of one thread each, gloo, the same global batch; and
  with one process whose set is a mapped file, read from disk as if it were larger than memory. The three take turns.
- growth: a process reads a set of each size and passes over its batches once; what it takes in seconds and memory, on
  top of what it has when everything is imported. For mapped files the first start, which makes the map, and a later
  one.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.measure import device_name
from benchmarks.scale_loader import IN_MEMORY, loader_rates
from benchmarks.scale_plot import plot_growth
from benchmarks.scale_sets import LAYOUT, random_set
from pcan_pose.atomic import atomic_write
from pcan_pose.config import RunConfig, load_config
from pcan_pose.engine.distributed import pick_device

PARTS = ("loader", "training", "growth")
_ONE, _TWO, _LARGER = "1 process", "2 processes", "1 process, mapped, from disk, as if larger than memory"
_WAYS = ((_ONE, 1, "train"), (_TWO, 2, "train"), (_LARGER, 1, "train-larger"))
_STREAMS = {"joints alone": "[joint]", "four streams": "[joint, bone, joint_motion, bone_motion]"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write the figures."""
    given = _options(arguments)
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    for part in given.only or PARTS:
        {"loader": _loader, "training": _training, "growth": _growth}[part](given)


def _write(given: Namespace, part: str, result: dict[str, Any]) -> None:
    """Put a part's result, and what it was measured on, into the file."""
    report = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    report[part] = {
        "machine": device_name(pick_device(given.device)),
        "cpus": len(os.sched_getaffinity(0)),
        "torch": str(torch.__version__),
        "date": str(date.today()),
        "layout": LAYOUT,
        "batch": given.batch,
        **result,
    }
    with atomic_write(given.out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _loader(given: Namespace) -> None:
    data = random_set(given.work, given.clips, given.frames)
    result: dict[str, Any] = {"clips": given.clips, "frames": given.frames, "rounds": given.rounds}
    for streams, value in _STREAMS.items():
        config, _ = _config(given, data, given.frames, [f"data.streams={value}"])
        rounds = [loader_rates(config.data, given.batch, pick_device(given.device)) for _ in range(given.rounds)]
        rates = {way: median(rates[way] for rates in rounds) for way in rounds[0]}
        shares = {way: median(rates[way] / rates[IN_MEMORY] for rates in rounds) for way in rounds[0]}
        result[streams] = {"clips_per_second": rates, "share": shares}
        for way, rate in rates.items():
            print(f"loader, {streams:<14} {way:<43} {rate:10,.0f} clips/s {shares[way]:6.2f}")
    _write(given, "loader", result)


def _training(given: Namespace) -> None:
    data = random_set(given.work, given.training_clips, given.training_frames)
    _, command = _config(given, data, given.training_frames, given.overrides)
    rounds = [{way: _train(processes, what, command) for way, processes, what in _WAYS} for _ in range(given.rounds)]

    def middle(epoch: str, way: str) -> float:
        return median(rates[way][epoch] for rates in rounds)

    def share(epoch: str, way: str) -> float:
        return median(rates[way][epoch] / rates[_ONE][epoch] for rates in rounds)

    result = {
        "clips": given.training_clips,
        "frames": given.training_frames,
        "rounds": given.rounds,
        "overrides": given.overrides,
        "clips_per_second": {way: middle("second_epoch", way) for way, _, _ in _WAYS},
        "efficiency": share("second_epoch", _TWO) / 2,
        # Its files are in the page cache when the second epoch begins.
        "larger_than_memory_share": share("first_epoch", _LARGER),
    }
    for way, rate in result["clips_per_second"].items():
        print(f"training, {way:<58} {rate:10,.1f} clips/s")
    print(f"training, efficiency of two processes {result['efficiency']:.2f}")
    print(f"training, first epoch from a map as if larger than memory {result['larger_than_memory_share']:.2f}")
    _write(given, "training", result)


def _train(processes: int, what: str, command: Sequence[str]) -> dict[str, float]:
    """Return what a worker of `benchmarks.scale_worker` says of its epochs."""
    torchrun = ["torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    start = [*torchrun, "--master-port", str(_free_port()), "-m", "benchmarks.scale_worker", what]
    return _run([*start, *command, "data.memory=map"] if what == "train-larger" else [*start, *command])


def _growth(given: Namespace) -> None:
    entries: list[dict[str, Any]] = []
    for clips in given.sizes:
        data = random_set(given.work, clips, given.frames)
        maps = data.with_name(f"{data.name}.map")
        shutil.rmtree(maps, ignore_errors=True)
        # In this order: the second start finds the map that the first has made.
        for way, setting in (("in memory", "device"), ("mapped, first start", "map"), ("mapped", "map")):
            _, command = _config(given, data, given.frames, [f"data.memory={setting}"])
            entry = {"clips": clips, "way": way, **_run(["benchmarks.scale_worker", "pass", *command])}
            entries.append(entry)
            seconds = f"read {entry['read_seconds']:7.2f} s, pass {entry['pass_seconds']:7.2f} s"
            print(f"{clips:>9,} clips, {way:<19} {seconds}, own memory {entry['own_bytes'] / 1e6:8.1f} MB")
        _write(given, "growth", {"frames": given.frames, "sizes": entries})
    if given.plot:
        plot_growth(given.plot, entries, f"Random clips of {given.frames} frames, {LAYOUT}")


def _config(given: Namespace, data: Path, frames: int, overrides: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """Return the configuration of a set, and what a worker is told to have the same."""
    file = given.work / "scale.yaml"
    content = {
        "name": "scale",
        "data": {"path": str(data.resolve()), "frames": frames},
        "train": {"batch_size": given.batch, "device": given.device, "threads": 1},
    }
    file.write_text(json.dumps(content), encoding="utf-8")
    return load_config(file, overrides), [str(file), *overrides]


def _run(module: Sequence[str]) -> dict[str, Any]:
    """Return what a Python module prints in its last line, as JSON."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run([sys.executable, "-m", *module], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(module)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _options(arguments: Sequence[str] | None) -> Namespace:
    options = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    options.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be repeated")
    options.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="clips, for growth")
    options.add_argument("--clips", type=int, default=50_000, help="for the loader")
    options.add_argument("--frames", type=int, default=16, help="of a clip, for loader and growth")
    options.add_argument("--training-clips", type=int, default=1_024, help="of an epoch of training")
    options.add_argument("--training-frames", type=int, default=64, help="of a clip, for training")
    options.add_argument("--batch", type=int, default=64, help="clips of a global batch")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N; growth is always on the CPU")
    options.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change the trained run"
    )
    options.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pcan_pose_scale")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results/scale.json"))
    options.add_argument("--plot", type=Path, metavar="PNG", help="draw growth")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
