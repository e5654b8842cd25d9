"""Training and measuring the rows of a benchmark, resumed where it was stopped."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import cost, device_name
from benchmarks.results_file import Entry, append_result, find, read_results
from benchmarks.rows import Benchmark, Protocol, Row, run_name
from pcan_pose.config import RunConfig, load_config
from pcan_pose.engine.distributed import pick_device
from pcan_pose.engine.run_folder import RunFolder
from pcan_pose.engine.test import test_run
from pcan_pose.engine.train import train
from pcan_pose.fusion import joint_probability
from pcan_pose.metrics import evaluate


@dataclass(frozen=True)
class Options:
    """What the command line says besides the benchmark itself.

    Attributes:
        out: the JSON file.
        work: folder of the runs.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads; None leaves them to the configuration.
        overrides: settings besides the rows'.
        seeds: seeds of each row; None takes each row's own number.
    """

    out: Path
    work: Path
    device: str = "auto"
    threads: int | None = None
    overrides: tuple[str, ...] = ()
    seeds: int | None = None


@dataclass(frozen=True)
class Job:
    """One entry to be: a row by a protocol with a seed."""

    row: Row
    protocol: Protocol
    seed: int


def jobs(benchmark: Benchmark, rows: Sequence[Row], options: Options) -> list[Job]:
    """Return what there is to do, seed by seed, so that a benchmark that is stopped has a bit of every row."""
    seeds = {row.name: options.seeds or row.seeds for row in rows}
    return [
        Job(row, protocol, seed)
        for seed in range(max(seeds.values()))
        for protocol in benchmark.protocols
        for row in rows
        if seed < seeds[row.name]
    ]


def overrides_of(benchmark: Benchmark, job: Job, options: Options) -> list[str]:
    """Return what decides an entry's numbers, apart from seed and machine."""
    trained = benchmark.trained(job.row).overrides
    config = benchmark.config_of(job.row)
    other = [] if config == benchmark.config else [f"configs/{config}.yaml"]
    members = [f"--member {member}" for member in job.row.members]
    asked = [f"--neighbours {job.row.neighbours}"] if job.row.neighbours else []
    fused = [f"--body-weight {job.row.body_weight:g}"] if job.row.body_weight else []
    changes = [*benchmark.common, *job.protocol.overrides, *trained, *options.overrides]
    return [*other, *changes, *members, *asked, *fused, *benchmark.described]


def config_digest(name: str) -> str:
    """Return a digest of what a configuration file sets, comments left out.

    Raises:
        ConfigError: If there is no such file, or it does not fit.
    """
    content = load_config(name).model_dump(mode="json", exclude_unset=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def recorded(benchmark: Benchmark, job: Job, options: Options, entries: Sequence[Entry]) -> Entry | None:
    """Return the entry of a job among the results, or None.

    Raises:
        DataError: If it was measured with other settings than the job's.
    """
    wanted = (job.row.name, job.protocol.name, job.seed)
    config = config_digest(benchmark.config_of(job.row))
    return find(entries, wanted, overrides_of(benchmark, job, options), options.out, config=config)


def settings(benchmark: Benchmark, job: Job, options: Options, data: Path) -> RunConfig:
    """Return the configuration of a job's run.

    Raises:
        ConfigError: If the overrides do not fit.
    """
    trained = benchmark.trained(job.row)
    where = (
        f"name={run_name(trained, job.protocol, job.seed)}",
        f"output={options.work}",
        f"data.path={data}",
        f"seed={job.seed}",
        f"train.device={options.device}",
        *([f"train.threads={options.threads}"] if options.threads else []),
    )
    changes = (*benchmark.common, *job.protocol.overrides, *trained.overrides, *options.overrides)
    return load_config(benchmark.config_of(job.row), [*where, *changes])


def run(benchmark: Benchmark, rows: Sequence[Row], options: Options) -> list[Entry]:
    """Train and measure what the results lack, write each entry as soon as it is there, and return all of them.

    Raises:
        PcanError: If any row's configuration does not fit, found before the first is trained; or a run fails.
    """
    entries = read_results(options.out)
    todo = []
    for job in jobs(benchmark, rows, options):
        if recorded(benchmark, job, options, entries) is None:
            settings(benchmark, job, options, Path("unknown"))
            todo.append(job)
    for number, job in enumerate(todo, 1):
        print(f"{number}/{len(todo)}  {_describe(job)}", file=sys.stderr, flush=True)
        entry = measure(benchmark, job, options)
        entries = append_result(options.out, entry)
        shown = ", ".join(f"{name} {100 * entry[name]:.1f}" for name in ("action_top1", "action_f1_macro", "f1_mean"))
        seconds = f", {entry['seconds']:.0f} s" if "seconds" in entry else ""
        print(f"     {shown}{seconds}", file=sys.stderr, flush=True)
    return entries


def measure(benchmark: Benchmark, job: Job, options: Options) -> Entry:
    """Return the entry of a job; its run is trained, or gone on with, or used as it is if it is complete."""
    config = settings(benchmark, job, options, benchmark.data(job.seed))
    folder = train(config, resume=True)
    numbers: dict[str, Any] = {}
    for prefix, split in job.protocol.splits.items():
        scores = test_run(folder, split, device=options.device, members=job.row.members, neighbours=job.row.neighbours)
        if job.row.body_weight:
            scores = joint_probability(scores, job.row.body_weight)
        metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy)
        numbers |= {f"{prefix}{name}": value for name, value in metrics.summary().items()}
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    return {
        "row": job.row.name,
        **({"protocol": job.protocol.name} if job.protocol.name else {}),
        "seed": job.seed,
        "config": config_digest(benchmark.config_of(job.row)),
        "overrides": overrides_of(benchmark, job, options),
        "torch": str(torch.__version__),
        "device": device_name(pick_device(options.device)),
        "threads": config.train.threads,
        "precision": RunFolder(folder).config().train.precision,
        "commit": environment["commit"],
        **cost(folder, job.row.members),
        **numbers,
    }


def _describe(job: Job) -> str:
    return ", ".join([job.row.name, *([job.protocol.name] if job.protocol.name else []), f"seed {job.seed}"])
