"""Encoders: forward and training step, memory, and their shares of what the machine reaches."""

from collections.abc import Sequence

import torch

from benchmarks.speed_counts import gflops, peak_bytes, top_operations, traffic
from benchmarks.speed_machine import Options, limits
from benchmarks.speed_networks import (
    BASELINE,
    ENCODERS,
    NO_FOLDING,
    OURS,
    Batch,
    compiled,
    folded,
    folding,
    forward,
    left_out,
    network,
    precisions,
    training,
)
from benchmarks.speed_timing import Figure, Task, Timings, Work, take_turns

Quantity = tuple[str, str]


def encoders(options: Options) -> tuple[list[Figure], list[str]]:
    """Return the figures of every encoder, precision and size, and what was left out."""
    figures = []
    for precision in precisions(options):
        for frames in options.frames:
            for clips in options.batches:
                figures += _group(options, precision, clips, frames)
    return figures, [*left_out(options), *([f"folded networks: {NO_FOLDING}"] if folding() is None else [])]


def _group(options: Options, precision: str, clips: int, frames: int) -> list[Figure]:
    """Return the figures of one precision and size: all encoders side by side."""
    batch = Batch.random(clips, frames, options.device)
    works = _works(options, precision, batch)
    tasks = [Task(name, work, options.threads) for name, work in works.items()]
    timings = take_turns(tasks, rounds=options.rounds, min_seconds=options.turn)
    # What is compiled computes the same with fewer passes over memory, so only its time is known.
    asked = {name: _asked(works[name]) for name in works if "compiled" not in name[0]}
    figures = [_speed(options, timings, name, asked.get(name), precision, batch) for name in works]
    steps = [name for name in works if name[1] == "training" and "compiled" not in name[0]]
    peaks = {row: peak_bytes(works[row, quantity], options.device) for row, quantity in steps}
    for row, peak in peaks.items():
        ratio = peaks[BASELINE] / peak
        figures.append(Figure(row, "memory", peak / 1e6, "MB", precision, clips, frames, ratio))
    return figures


def _works(options: Options, precision: str, batch: Batch) -> dict[Quantity, Work]:
    if options.compile:
        # The compiler keeps few variants of one function, and every size is one.
        torch.compiler.reset()
    works: dict[Quantity, Work] = {}
    fold = folding()
    for name in ENCODERS:
        recognizer = network(name, precision, options.device)
        works[name, "forward"] = forward(recognizer, batch)
        works[name, "training"] = training(recognizer, batch)
        if name not in OURS:
            continue
        if fold is not None:
            works[f"{name}, folded", "forward"] = forward(folded(recognizer, fold), batch)
        if options.compile:
            copy = compiled(recognizer)
            works[f"{name}, compiled", "forward"] = forward(copy, batch)
            works[f"{name}, compiled", "training"] = training(copy, batch)
            if fold is not None:
                works[f"{name}, folded, compiled", "forward"] = forward(compiled(folded(recognizer, fold)), batch)
    return works


def _asked(work: Work) -> tuple[float, float]:
    """Return the billions of operations and of bytes of a piece of work."""
    return gflops(work), traffic(work) / 1e9


def _speed(
    options: Options,
    timings: Timings,
    name: Quantity,
    asked: tuple[float, float] | None,
    precision: str,
    batch: Batch,
) -> Figure:
    row, quantity = name
    seconds = timings.seconds(name)
    clips, _, frames = batch.x.shape[:3]
    details: dict[str, float | Sequence[float]] = {"rounds": timings.rounds(name)}
    gemm_share = copy_share = None
    if asked is not None:
        most = limits(options, options.threads)
        operations, gigabytes = asked[0] / seconds, asked[1] / seconds
        details |= {"gflops_per_second": operations, "gigabytes_per_second": gigabytes}
        gemm_share, copy_share = operations / most.gemm[precision], gigabytes / most.copy
    return Figure(
        row,
        quantity,
        clips / seconds,
        "clips/s",
        precision,
        clips,
        frames,
        timings.ratio((BASELINE, quantity), name),
        gemm_share,
        copy_share,
        timings.ratios((BASELINE, quantity), name),
        details,
    )


def profile(options: Options) -> tuple[list[Figure], list[str]]:
    """Return where the time of the default encoder's training step goes: the operations that take most."""
    clips, frames = (2, 8) if options.quick else (64, 64)
    threads = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    batch = Batch.random(clips, frames, options.device)
    figures = []
    for precision in precisions(options):
        work = training(network("pose", precision, options.device), batch)
        work()  # the first step prepares kernels and the optimiser's state
        for operation, share in top_operations(work, options.device):
            figures.append(Figure("pose", operation, 100 * share, "%", precision, clips, frames))
    torch.set_num_threads(threads)
    return figures, left_out(options)
