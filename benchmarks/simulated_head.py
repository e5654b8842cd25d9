"""What the hierarchical head adds: one encoder with plain cross-entropy and with the full head, on simulated clips.

    python benchmarks/simulated_head.py --out benchmarks/results/simulated_head.json

Trains configs/demo.yaml once for each row and seed on the demo's number of clips and tests on many more, so that the
test's own chance matters little. Resumes where it was stopped, writes every number as JSON and prints the README's
table.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

from pcan_pose.config import load_config
from pcan_pose.data.simulate import SimulationConfig, simulate
from pcan_pose.engine.test import test_run
from pcan_pose.engine.train import train
from pcan_pose.keypoints import KeypointSet, write_set
from pcan_pose.metrics import evaluate

OFF = (
    "head.body_weight=0",
    "head.tree_weight=0",
    "head.calibration.enabled=false",
    "head.diversity_weight=0",
    "head.rectification=0",
)
ROWS = {
    "plain cross-entropy": OFF,
    "+ body cross-entropy": OFF[1:],
    "+ tree loss": OFF[2:],
    "full head": (),
}
NUMBERS = ("action_top1", "action_f1_macro", "body_top1", "f1_mean")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/simulated_head"), help="folder for the set and the runs"
    )
    parser.add_argument("--clips", type=int, default=10_400, help="clips of the set; a fifth each for val and test")
    parser.add_argument("--train-clips", type=int, default=1560, help="clips to train on, the first of the train split")
    parser.add_argument("--split", default="test", help="split to measure; choose settings on val")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["plain cross-entropy", "full head"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()

    results: list[dict[str, object]] = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    for seed in range(arguments.seeds):
        # Another seed is another set, other weights and another order of the clips.
        data = arguments.work / f"set_{arguments.clips}_{arguments.train_clips}_{seed}"
        if not data.is_dir():
            write_set(
                data, few_to_train(simulate(SimulationConfig(clips=arguments.clips, seed=seed)), arguments.train_clips)
            )
        for row in arguments.rows:
            if any((done["row"], done["seed"]) == (row, seed) for done in results):
                continue
            settings = (
                f"name={row.replace(' ', '_').replace('+', 'plus')}_{seed}",
                f"output={arguments.work}",
                f"data.path={data}",
                "data.val_split=null",
                f"seed={seed}",
                f"train.threads={arguments.threads}",
            )
            run = train(load_config("demo", [*settings, *ROWS[row], *arguments.overrides]), resume=True)
            scores = test_run(run, arguments.split)
            metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy).summary()
            results.append({"row": row, "seed": seed, "torch": torch.__version__, **metrics})
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps(results, indent=1) + "\n")
            print(row, seed, {key: metrics[key] for key in NUMBERS}, file=sys.stderr, flush=True)
    print(table(results, arguments.rows))


def few_to_train(keypoint_set: KeypointSet, clips: int) -> KeypointSet:
    """Return the set without its train split's clips after the first few."""
    training = keypoint_set.in_split("train")
    kept = np.setdiff1d(np.arange(len(keypoint_set)), training[clips:])
    return keypoint_set.select(kept)


def table(results: list[dict[str, object]], rows: list[str]) -> str:
    lines = ["| row | " + " | ".join(NUMBERS) + " | seeds |", "| --- " * (len(NUMBERS) + 2) + "|"]
    for row in rows:
        own = [result for result in results if result["row"] == row]
        cells = []
        for number in NUMBERS:
            values = [100 * float(str(result[number])) for result in own]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.1f} ± {spread:.1f}")
        lines.append(f"| {row} | " + " | ".join(cells) + f" | {len(own)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
