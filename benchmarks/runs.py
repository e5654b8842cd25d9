"""Training and measuring the rows of a benchmark, resumed where it was stopped."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.jobs import Job, Options, described, file_name, jobs, parts_of, recorded, settings, shown
from benchmarks.measure import cost, device_name
from benchmarks.results_file import Entry, append_result, read_results
from benchmarks.rows import Benchmark, Row
from pcan_pose.data.clip_index import read_index
from pcan_pose.engine.distributed import pick_device
from pcan_pose.engine.run_folder import RunFolder
from pcan_pose.engine.test import test_run
from pcan_pose.engine.train import train
from pcan_pose.errors import DataError
from pcan_pose.fusion import fuse, joint_probability
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet, read_scores, write_scores


def run(benchmark: Benchmark, rows: Sequence[Row], options: Options) -> list[Entry]:
    """Train and measure what the results lack, write each entry as soon as it is there, and return all of them.

    Raises:
        PcanError: If any row's configuration does not fit, or what it fuses is not measured, found before the first is
            trained; or a run fails.
    """
    entries = read_results(options.out)
    todo: list[Job] = []
    for job in jobs(benchmark, rows, options):
        if recorded(benchmark, job, options, entries) is None:
            _check(benchmark, job, options, entries, todo)
            todo.append(job)
    for number, job in enumerate(todo, 1):
        print(f"{number}/{len(todo)}  {shown(job)}", file=sys.stderr, flush=True)
        entry = measure(benchmark, job, options)
        entries = append_result(options.out, entry)
        numbers = ", ".join(f"{name} {100 * entry[name]:.1f}" for name in ("action_top1", "action_f1_macro", "f1_mean"))
        seconds = f", {entry['seconds']:.0f} s" if "seconds" in entry else ""
        print(f"     {numbers}{seconds}", file=sys.stderr, flush=True)
    return entries


def _check(benchmark: Benchmark, job: Job, options: Options, entries: Sequence[Entry], todo: Sequence[Job]) -> None:
    """Raise if a job's settings do not fit, or it fuses scores that are not there by its turn."""
    if not job.row.fused:
        settings(benchmark, job, options, Path("unknown"))
        return
    if options.scores is None:
        raise DataError(f"{shown(job)}: fuses scores, and none are kept; say where with --scores.")
    for part in parts_of(benchmark, job):
        done = recorded(benchmark, part, options, entries)
        if done is None and part not in todo:
            raise DataError(f"{shown(job)}: fuses row {part.row.name!r}, not measured yet; name it in --rows too.")
        if done is not None and not (file := options.scores / file_name(part)).is_file():
            raise DataError(f"{shown(job)}: fuses the scores of row {part.row.name!r}, but there is no {file}; {_MEND}")


def measure(benchmark: Benchmark, job: Job, options: Options) -> Entry:
    """Return the entry of a job; its run is trained, or gone on with, or used as it is if it is complete.

    A row that fuses others' scores has no run: it is made of the parts' entries and score files.
    """
    entry, scores = (_fused if job.row.fused else _tested)(benchmark, job, options)
    if options.scores is not None:
        write_scores(options.scores / file_name(job), scores[""])
    for prefix, of_split in scores.items():
        entry |= {f"{prefix}{name}": value for name, value in _numbers(of_split).items()}
    return entry


def _tested(benchmark: Benchmark, job: Job, options: Options) -> tuple[Entry, dict[str, ScoreSet]]:
    config = settings(benchmark, job, options, benchmark.data(job.seed))
    folder = train(config, resume=True)
    scores = {}
    for prefix, split in job.protocol.splits.items():
        found = test_run(folder, split, device=options.device, members=job.row.members, neighbours=job.row.neighbours)
        scores[prefix] = joint_probability(found, job.row.body_weight) if job.row.body_weight else found
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    entry = {
        **described(benchmark, job, options),
        "torch": str(torch.__version__),
        "device": device_name(pick_device(options.device)),
        "threads": config.train.threads,
        "precision": RunFolder(folder).config().train.precision,
        "commit": environment["commit"],
        **cost(folder, job.row.members),
    }
    return entry, scores


def _fused(benchmark: Benchmark, job: Job, options: Options) -> tuple[Entry, dict[str, ScoreSet]]:
    """Return what a row that fuses others' scores is made of: their costs summed, their logits averaged."""
    assert options.scores is not None  # `_check` saw to it
    entries = read_results(options.out)
    measured: list[Entry] = []
    parts: list[ScoreSet] = []
    for part in parts_of(benchmark, job):
        file, entry = options.scores / file_name(part), recorded(benchmark, part, options, entries)
        assert entry is not None
        scores = read_scores(file)
        numbers = _numbers(scores)
        if {name: entry.get(name) for name in numbers} != numbers:
            raise DataError(f"{file}: has other metrics than {options.out} holds for {shown(part)}; {_MEND}")
        measured.append(entry)
        parts.append(scores)
    whole = fuse(parts, space="logits")
    clips = read_index(benchmark.data(job.seed))
    of_splits = {}
    for prefix, split in job.protocol.splits.items():
        chosen = set(clips.select(clips.in_split(split)).clip_ids)
        of_splits[prefix] = whole.select(np.flatnonzero([clip_id in chosen for clip_id in whole.clip_ids]))
        if len(of_splits[prefix]) < len(chosen):
            raise DataError(f"{shown(job)}: scores are kept of the main split, which does not have all of {split!r}.")
    made: Entry = described(benchmark, job, options)
    for name in ("torch", "device", "threads", "precision", "commit"):
        if values := list(dict.fromkeys(entry[name] for entry in measured if name in entry)):
            made[name] = values[0] if len(values) == 1 else " and ".join(map(str, values))
    for name in ("parameters", "gflops", "seconds"):
        if all(name in entry for entry in measured):
            made[name] = sum(entry[name] for entry in measured)
    return made, of_splits


def _numbers(scores: ScoreSet) -> dict[str, Any]:
    metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy)
    return dict(metrics.summary())


_MEND = "take its entry out to measure it again, or bring the file back."
