"""Pose, RGB and both, on simulated clips and their videos, where each branch sees something the other does not.

    python -m benchmarks.two_branches

For each seed: simulates people, with a noisy pose estimator, and films them; cuts crops out of the videos; trains the
pose branch, and the RGB branch from ImageNet's weights and, for as many epochs, from random ones; fits the fusion's
weights on val and measures all on test. The person in the pictures is small, and the skeletons' joints are off by more
than usual. Resumes where it was stopped, writes every number as JSON and prints the table.
"""

import json
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.docs_page import RESULTS, fill, page_to_fill
from benchmarks.measure import device_name
from pcan_pose.alignment import align
from pcan_pose.atomic import atomic_write
from pcan_pose.config import load_config
from pcan_pose.engine.distributed import pick_device
from pcan_pose.engine.test import test_run
from pcan_pose.engine.train import train
from pcan_pose.errors import DataError
from pcan_pose.fusion import fuse, fuse_aligned
from pcan_pose.fusion_fit import fit_fusion
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet

Numbers = dict[str, float]
RECORDED = Path("benchmarks/results/two_branches.json")
SECTION = "two branches"
COLUMNS = {
    "action top-1": "action_top1",
    "action macro F1": "action_f1_macro",
    "body top-1": "body_top1",
    "F1 mean": "f1_mean",
}
PICTURES = (
    "{{crops: {crops}, frames: 8, size: {size}, "
    "augment: {{scale: [0.85, 1.0], flip: 0.5, brightness: 0.3, contrast: 0.3}}}}"
)
# Few clips and few steps: averaged weights that do not lag behind, and a rate that moves all layers alike.
RGB = (
    "train.batch_size=16", "train.ema=0.98", "data.val_split=null", "optim.layer_decay=1", "optim.warmup_epochs=1",
    "head.label_smoothing=0",
    "train.precision=fp32",  # on a CPU, bf16 makes these convolutions' backward pass slower
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the table."""
    given = _options(arguments)
    results: dict[str, Any] = (
        json.loads(given.out.read_text()) if given.out.exists() else {"settings": _settings(given), "machines": {}}
    )
    if results["settings"] != _settings(given):
        sys.exit(f"{given.out}: made with {results['settings']}, not {_settings(given)}; name another --out.")
    page = None
    if given.write_docs:
        try:
            page = page_to_fill(SECTION, given.docs, given.out, RECORDED)
        except DataError as error:
            sys.exit(str(error))
    for seed in () if given.print_only else map(str, range(given.seeds)):
        if seed not in results:
            results[seed] = one_seed(given, int(seed))
            results["machines"][seed] = f"{device_name(pick_device(given.device))}, torch {torch.__version__}"
            given.out.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(given.out) as temporary:
                temporary.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    if page is not None:
        fill(page, SECTION, table(results))


def one_seed(given: Namespace, seed: int) -> dict[str, Numbers]:
    """Return the metrics of every row."""
    work = given.work / str(seed)
    data, usual, videos, crops = (work / name for name in ("keypoints", "usual_keypoints", "videos", "crops"))
    clips = ("--clips", str(given.clips), "--seed", str(seed), "--ambiguity", str(given.ambiguity))
    if not data.is_dir():
        _command("data", "simulate", "--out", str(data), *clips, "--noise", str(given.noise))
    if not videos.is_dir():
        # The videos come last; keypoints without them are what a stopped run left.
        shutil.rmtree(usual, ignore_errors=True)
        _command(
            "data", "simulate", "--out", str(usual), *clips, "--render", str(videos),
            "--render-height", str(given.height), "--workers", str(given.workers),
        )  # fmt: skip
    # Wild joints would move the boxes; the noise is meant for the pose branch alone.
    _command(
        "data", "crops", str(usual), "--videos", str(videos), "--out", str(crops), "--size", str(given.size),
        "--frames", "16", "--workers", str(given.workers),
    )  # fmt: skip
    where = [f"output={work}", f"data.path={data}", f"seed={seed}", f"train.device={given.device}", "train.threads=1"]
    pictures = f"data.rgb={PICTURES.format(crops=crops, size=given.size)}"
    rgb = [*RGB, pictures, f"train.epochs={given.rgb_epochs}"]
    runs = {
        "pose": train(load_config("demo", [*where, "name=pose", "data.val_split=null"]), resume=True),
        "RGB": train(load_config("ma52_rgb", [*where, *rgb, "name=rgb"]), resume=True),
        "RGB, random start": train(
            load_config("ma52_rgb", [*where, *rgb, "name=rgb_random", "encoder.pretrained=false"]), resume=True
        ),
    }
    scores = {
        name: {split: test_run(run, split, device=given.device) for split in ("val", "test")}
        for name, run in runs.items()
    }
    rows = {name: _measure(parts["test"]) for name, parts in scores.items()}
    fitted = fit_fusion(align([scores["pose"]["val"], scores["RGB"]["val"]]))
    tests = [scores["pose"]["test"], scores["RGB"]["test"]]
    rows["pose + RGB, equal weights"] = _measure(fuse(tests))
    rows["pose + RGB, weights fitted on val"] = _measure(fuse_aligned(align(tests), fitted))
    return rows


def table(results: dict[str, Any]) -> str:
    """Return the table: mean and standard deviation over the seeds, in per cent, and what they were measured on."""
    seeds = [numbers for seed, numbers in results.items() if seed.isdecimal()]
    lines = ["| row | " + " | ".join(COLUMNS) + " | n |", "| --- |" + " --- |" * (len(COLUMNS) + 1)]
    for row in seeds[0] if seeds else ():
        cells = []
        for number in COLUMNS.values():
            values = [100 * seed[row][number] for seed in seeds]
            spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.1f}{spread}")
        lines.append(f"| {row} | " + " | ".join([*cells, str(len(seeds))]) + " |")
    machines = dict.fromkeys(results["machines"].values())
    return "\n".join([*lines, "", f"{'; '.join(['Mean ± standard deviation over n seeds', *machines])}."])


def _measure(scores: ScoreSet) -> Numbers:
    metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy)
    return {name: value for name, value in metrics.summary().items() if value is not None}


def _settings(given: Namespace) -> dict[str, Any]:
    return {key: getattr(given, key) for key in ("clips", "noise", "ambiguity", "height", "size", "rgb_epochs")}


def _command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pcan_pose", *words], check=True)


def _options(arguments: Sequence[str] | None) -> Namespace:
    options = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--out", type=Path, default=RECORDED)
    options.add_argument("--work", type=Path, default=Path("runs/two_branches"), help="folder of data and runs")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--clips", type=int, default=2600, help="three fifths of them train")
    options.add_argument("--noise", type=float, default=8.0, help="of the pose estimator, 1 is usual")
    options.add_argument("--ambiguity", type=float, default=0.0, help="of the actions, 1 is usual")
    options.add_argument("--height", type=int, default=128, help="of the videos, pixels")
    options.add_argument("--size", type=int, default=64, help="of the pictures, pixels")
    options.add_argument("--rgb-epochs", type=int, default=8)
    options.add_argument("--device", default="auto")
    options.add_argument("--write-docs", action="store_true", help="write the table into a page besides")
    options.add_argument("--docs", type=Path, help=f"that page; default: {RESULTS.name}, of the recorded results alone")
    options.add_argument("--print-only", action="store_true", help="print the table of what there is; train nothing")
    options.add_argument("--workers", type=int, default=1, help="processes that draw and decode")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
