"""Draw the README's picture from the folder of a finished demo.

python docs/overview.py demo docs/images/overview.png

Above: four simulated clips with their keypoints. Below: the training curve and the confusion of the body parts.
"""

import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from pcan_extract.overlay import draw_skeleton
from pcan_pose.data.simulate import SimulationConfig, clean_clips
from pcan_pose.data.simulate_video import draw_frames
from pcan_pose.engine.run_folder import read_metrics
from pcan_pose.keypoints import read_set
from pcan_pose.metrics import evaluate
from pcan_pose.scores import read_scores
from pcan_pose.taxonomy import MA52

ACTIONS = ("touching nose", "crossing arms", "waving", "shaking legs")
HEIGHT = 480


def picture(simulated: Path, action: str) -> np.ndarray:
    """Return the middle frame of the first simulated clip of an action, its keypoints drawn over it."""
    keypoints = read_set(simulated)
    number = int(np.flatnonzero(keypoints.labels == MA52.actions.index(action))[0])
    clip = keypoints.clip(number)
    clean = clean_clips(SimulationConfig(clips=len(keypoints), seed=0), [number]).clip(0)
    middle = clip.keypoints.shape[1] // 2
    frame = next(islice(draw_frames(clean, height=HEIGHT), middle, None))
    scale = np.float32(HEIGHT / (clip.height or HEIGHT))
    return draw_skeleton(frame, replace(clip, keypoints=clip.keypoints * scale), keypoints.header.skeleton, middle)


def main() -> None:
    """Write the picture."""
    demo, target = Path(sys.argv[1]), Path(sys.argv[2])
    figure = plt.figure(figsize=(11, 7.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1])
    for axes, action in zip(above.subplots(1, len(ACTIONS)), ACTIONS, strict=True):
        axes.imshow(picture(demo / "simulated", action))
        axes.set_title(action, fontsize=11)
        axes.axis("off")
    above.suptitle("Simulated clips with their keypoints", fontsize=12)

    curve, confusion = below.subplots(1, 2)
    rows = [row for row in read_metrics(demo / "pose" / "metrics.jsonl") if row["split"] == "val"]
    for name, label in (("body_top1", "body part, top-1"), ("action_top1", "action, top-1"), ("f1_mean", "F1 mean")):
        curve.plot([row["epoch"] for row in rows], [100 * row[name] for row in rows], marker="o", ms=3, label=label)
    curve.set(xlabel="epoch", ylabel="per cent", ylim=(0, 100), title="Simulated val split")
    curve.legend(frameon=False, loc="lower right")
    curve.spines[["top", "right"]].set_visible(False)

    scores = read_scores(demo / "scores_test.parquet")
    matrix = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy).body.confusion
    shares = 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    confusion.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.5:
            confusion.text(
                j, i, f"{share:.0f}", ha="center", va="center", color="white" if share > 60 else "black", fontsize=9
            )
    names = scores.taxonomy.body_parts
    confusion.set_xticks(range(len(names)), names, rotation=30, ha="right")
    confusion.set_yticks(range(len(names)), names)
    confusion.set(
        title="Body parts, simulated test split (per cent of the label's clips)", xlabel="predicted", ylabel="label"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
