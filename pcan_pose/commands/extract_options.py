"""The options of the command `extract`, by what they are about."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]
_POSITIVE = click.IntRange(min=1)

_BACKEND = (
    click.option("--backend", default="mediapipe", show_default=True, help="Pose estimator: mediapipe, mmpose, onnx."),
    click.option("--model", metavar="NAME|FILE", help="The backend's network."),
    click.option("--checkpoint", metavar="FILE", help="Its weights, where the model is a configuration."),
    click.option("--detector", metavar="NAME|FILE", help="Network that finds people.  [default: the whole picture]"),
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
    click.option(
        "--precision",
        default="fp32",
        show_default=True,
        type=click.Choice(["fp32", "fp16", "bf16"]),
        help="Arithmetic of the networks; the half ones on a GPU only.",
    ),
    click.option(
        "--batch-size",
        type=_POSITIVE,
        help="Pictures at once, on a GPU also of several videos.  [default: the backend's]",
    ),
    click.option(
        "--persons",
        default=1,
        show_default=True,
        type=_POSITIVE,
        help="People to keep in each video; more than one needs a detector.",
    ),
    click.option("--check", is_flag=True, help="Only say what the backend needs and how to get it."),
)

_KEYPOINTS = (
    click.option("--layout", default="openpose28", show_default=True, help="Skeleton layout of the set."),
    click.option(
        "--allow-missing-joints", is_flag=True, help="Give score 0 to joints of the layout that the backend lacks."
    ),
    click.option(
        "--min-score",
        default=0.05,
        show_default=True,
        type=click.FloatRange(0, 1),
        metavar="S",
        help="Joints with a lower score, or outside the picture, count as not found; 0 keeps all.",
    ),
    click.option(
        "--interpolate",
        default=0,
        show_default=True,
        type=click.IntRange(min=0),
        metavar="FRAMES",
        help="Fill gaps of a joint up to this long.",
    ),
    click.option(
        "--smooth",
        type=(float, float),
        metavar="CUTOFF BETA",
        help="One Euro filter: lowest cutoff in Hz, and how it grows with speed.",
    ),
)

LABELS_HELP = (
    "Label list: lines of a file name and an action. The split is in its name (train_list.txt), or say train=LIST. "
    "May be repeated."
)

_LABELS = (
    click.option("--labels", multiple=True, metavar="LIST", help=LABELS_HELP),
    click.option(
        "--taxonomy",
        metavar="NAME|FILE",
        help="Action tree of the labels: ma52 (default with --labels) or a YAML file.",
    ),
)

_WORK = (
    click.option("--workers", type=_POSITIVE, help="Processes.  [default: one a CPU; on a GPU a single one]"),
    click.option(
        "--clips-per-shard",
        default=256,
        show_default=True,
        type=_POSITIVE,
        help="Most clips in a file; fewer where their videos exceed 1 GiB.",
    ),
    click.option(
        "--shard",
        metavar="I/N",
        help="Do the I-th of N shares, while other jobs do the others into the same folder.",
    ),
    click.option(
        "--engine", default="local", show_default=True, help="What runs the work: local, or ray for several machines."
    ),
    click.option("--address", metavar="HOST:PORT", help="Ray cluster to join.  [default: Ray on this machine]"),
    click.option(
        "--overlay", metavar="DIR", type=click.Path(path_type=Path), help="Draw each clip's skeleton to an MP4."
    ),
    click.option("--json-report", is_flag=True, help="Print the final figures as JSON on standard output."),
)


def extract_options(command: Command) -> Command:
    """Return a command with the options of `extract`."""
    for option in reversed((*_BACKEND, *_KEYPOINTS, *_LABELS, *_WORK)):
        command = option(command)
    return command
