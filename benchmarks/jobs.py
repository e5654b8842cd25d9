"""What a benchmark has to do: a job for each row, protocol and seed, and what its entry is known by."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results_file import Entry, find
from benchmarks.rows import Benchmark, Protocol, Row, run_name
from pcan_pose.config import RunConfig, load_config


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
        scores: folder that keeps the scores of every entry's main split; None keeps none.
    """

    out: Path
    work: Path
    device: str = "auto"
    threads: int | None = None
    overrides: tuple[str, ...] = ()
    seeds: int | None = None
    scores: Path | None = None


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


def parts_of(benchmark: Benchmark, job: Job) -> list[Job]:
    """Return the jobs whose scores a job fuses; none if it has a run of its own."""
    return [Job(benchmark.row(name), job.protocol, job.seed) for name in job.row.fused]


def overrides_of(benchmark: Benchmark, job: Job, options: Options) -> list[str]:
    """Return what decides an entry's numbers, apart from seed and machine."""
    if job.row.fused:
        parts = parts_of(benchmark, job)
        return [" ".join([f"fused: {part.row.name}", *overrides_of(benchmark, part, options)]) for part in parts]
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
    config = _digest(benchmark, job)
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


def file_name(job: Job) -> str:
    """Return the name of the score file of an entry's main split."""
    return f"{run_name(job.row, job.protocol, job.seed)}.parquet"


def described(benchmark: Benchmark, job: Job, options: Options) -> Entry:
    """Return what an entry says of its job."""
    return {
        "row": job.row.name,
        **({"protocol": job.protocol.name} if job.protocol.name else {}),
        "seed": job.seed,
        "config": _digest(benchmark, job),
        "overrides": overrides_of(benchmark, job, options),
    }


def shown(job: Job) -> str:
    """Return a job in words."""
    return ", ".join([job.row.name, *([job.protocol.name] if job.protocol.name else []), f"seed {job.seed}"])


def _digest(benchmark: Benchmark, job: Job) -> str:
    """Return the digests of the configuration files that a job's numbers come from."""
    configs = dict.fromkeys(benchmark.config_of(each.row) for each in parts_of(benchmark, job) or [job])
    return "+".join(map(config_digest, configs))
