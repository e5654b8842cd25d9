"""The time of one clip on one CPU thread: eager, folded, and through ONNX Runtime.

Eager and folded networks start from the streams; the exported file from pixels, as its graph makes the streams too.
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner

from benchmarks.speed_counts import gflops
from benchmarks.speed_machine import Options, limits
from benchmarks.speed_networks import (
    BASELINE,
    DIMS,
    LAYOUT,
    NO_FOLDING,
    OURS,
    Batch,
    config_of,
    folded,
    folding,
    network,
)
from benchmarks.speed_parts import REFERENCE, random_set, reference
from benchmarks.speed_timing import Figure, Task, Work, take_turns
from pcan_pose import cli
from pcan_pose.engine.train import train
from pcan_pose.errors import PcanError
from pcan_pose.keypoints import write_set
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.skeleton import skeleton

CPU = torch.device("cpu")


def latency(options: Options) -> tuple[list[Figure], list[str]]:
    """Return the middle and the slow end of the times of single clips, fp32, one thread."""
    frames = 8 if options.quick else 64
    batch = Batch.random(1, frames, CPU)
    fold = folding()
    skipped = [f"folded networks: {NO_FOLDING}"] if fold is None else []
    works: dict[str, Work] = {}
    asked: dict[str, float] = {}
    for name in (*OURS, BASELINE):
        recognizer = network(name, "fp32", CPU).eval()
        works[name] = _predict(recognizer, batch)
        asked[name] = gflops(works[name])
        if fold is not None and name in OURS:
            works[f"{name}, folded"] = _predict(folded(recognizer, fold), batch)
            asked[f"{name}, folded"] = asked[name]
    with tempfile.TemporaryDirectory() as folder:
        for name in OURS:
            reason = _cannot_export()
            if reason is None:
                file, reason = export(name, Path(folder) / name, frames)
            if reason is None:
                works[f"{name}, ONNX Runtime"] = onnx_work(file, frames)
                asked[f"{name}, ONNX Runtime"] = asked[name]
            else:
                skipped.append(f"{name}, ONNX Runtime: {reason}")
    tasks = [reference(options, 1), *(Task((name,), work) for name, work in works.items())]
    timings = take_turns(tasks, rounds=options.rounds, min_seconds=options.turn if options.quick else 1)
    most = limits(options, 1).gemm["fp32"] if options.device == CPU else None
    figures = []
    for name in works:
        for quantity, percent in (("p50", 50), ("p95", 95)):
            seconds = float(np.percentile(timings.times((name,)), percent))
            # The slow end is the machine's mood: shown, and not compared with other runs.
            middle = percent == 50
            figures.append(
                Figure(
                    name,
                    f"latency {quantity}",
                    1000 * seconds,
                    "ms",
                    "fp32",
                    1,
                    frames,
                    timings.ratio(REFERENCE, (name,)) if middle else None,
                    asked[name] / seconds / most if most is not None and middle else None,
                    ratios=timings.ratios(REFERENCE, (name,)) if middle else [],
                )
            )
    return figures, skipped


def _predict(recognizer: Recognizer, batch: Batch) -> Work:
    @torch.inference_mode()
    def work() -> object:
        return recognizer(batch.x, batch.found)

    return work


def _cannot_export() -> str | None:
    """Return why nothing can be exported and run, or None."""
    if "export" not in cli.main.commands:
        return "'pcan-pose export' is not there"
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def export(name: str, folder: Path, frames: int) -> tuple[Path, str | None]:
    """Return the ONNX file of a network that was trained for one step, as a user makes it, and why there is none."""
    file = folder / "model.onnx"
    write_set(folder / "set", random_set(4).with_splits([("train",)] * 4))
    config = config_of(name)
    data = config.data.model_copy(update={"path": folder / "set", "frames": frames, "val_split": None})
    once = config.train.model_copy(update={"epochs": 1, "batch_size": 4, "device": "cpu", "threads": None})
    changes = {"name": "run", "output": folder, "data": data, "train": once}
    threads = torch.get_num_threads()
    try:
        run = train(config.model_copy(update=changes))
    except PcanError as error:
        return file, str(error)
    finally:
        torch.set_num_threads(threads)
    result = CliRunner().invoke(cli.main, ["export", str(run), "--onnx", str(file)])
    # The program's own words, or the fault that it did not foresee.
    said = result.output.strip().splitlines() or [repr(result.exception)]
    return file, None if result.exit_code == 0 else said[-1]


def onnx_work(file: Path, frames: int) -> Work:
    """Return work that runs an exported network on one random clip, one thread.

    Args:
        file: Takes ``keypoints`` float32 (N, M, T, V, C) and ``scores`` float32 (N, M, T, V).
        frames: T.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
    shape = (1, 1, frames, skeleton(LAYOUT).num_joints)
    random = np.random.default_rng(0)
    inputs = {
        "keypoints": random.uniform(0, 1000, (*shape, DIMS)).astype(np.float32),
        "scores": np.ones(shape, np.float32),
    }
    return lambda: session.run(None, inputs)
