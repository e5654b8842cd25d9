"""Runs small enough for tests: 24 clips, two actions of each of two body parts, a network of 3,000 weights."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcan_pose.config import RunConfig
from pcan_pose.engine.distributed import Processes
from pcan_pose.engine.sources import load_data
from pcan_pose.engine.train import Trainer
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.taxonomy import Taxonomy

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TREE = Taxonomy("tiny", ("nod", "shake", "wave", "point"), ("head", "hand"), (0, 0, 1, 1))
OTHER_TREE = Taxonomy("other", TREE.actions[::-1], TREE.body_parts, TREE.parents)
CPU = torch.device("cpu")
Configure = Callable[..., RunConfig]


def tiny_set(header: Header | None = None, *, clips: int = 32, labelled: bool = True, seed: int = 0) -> KeypointSet:
    """Three clips of four are for training, one for val; an action is a direction in which the right arm swings."""
    header = header or Header(layout="coco17", dims=2, estimator="test", taxonomy=TREE)
    rng = np.random.default_rng(seed)
    joints = header.skeleton.num_joints
    body = np.random.default_rng(7).normal(size=(joints, header.dims))
    made = []
    for i in range(clips):
        label, frames = i // 4 % 4, int(rng.integers(5, 12))
        keypoints = np.tile(body, (1, frames, 1, 1)) + 0.02 * rng.normal(size=(1, frames, joints, header.dims))
        angle = label * np.pi / 2
        swing = 0.5 * np.sin(np.arange(frames))[:, None] * [np.cos(angle), np.sin(angle)]
        keypoints[0, :, -3:, :2] += swing[:, None]
        scores = rng.uniform(0.5, 1, (1, frames, joints)) * (rng.random((1, frames, joints)) > 0.05)
        made.append(
            Clip(
                f"clip{i:02d}",
                (keypoints * 100 + 300).astype(np.float32),
                scores.astype(np.float32),
                ("val",) if i % 4 == 3 else ("train",),
                label if labelled else None,
            )
        )
    return KeypointSet.from_clips(header, made)


def settings(data: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """Return the settings of a run as plain containers; keys of changes are as in ``train__epochs``."""
    content: dict[str, Any] = {
        "name": "run",
        "output": str(output),
        "data": {
            "path": str(data),
            "frames": 8,
            "augment": {
                "flip": 0.5,
                "rotation": [0, 0, 15],
                "scale": 0.1,
                "shear": 0.05,
                "crop": [0.8, 1.0],
                "resampling": "random",
                "noise": 0.01,
                "joint_dropout": 0.05,
            },
        },
        "encoder": {"widths": [8, 16], "depths": [1, 1], "temporal_kernel": 3, "reduction": 2},
        "head": {"dropout": 0.2, "action_embedding": 8, "body_embedding": 6, "label_smoothing": 0.1},
        "optim": {"lr": 0.05, "warmup_epochs": 1},
        "train": {"epochs": 3, "batch_size": 8, "ema": 0.9, "device": "cpu"},
    }
    for key, value in changes.items():
        section = content
        *path, last = key.split("__")
        for name in path:
            section = section.setdefault(name, {})
        section[last] = value
    return content


def trainer(config: RunConfig) -> Trainer:
    """Return the training of a run on the CPU that writes nothing."""
    return Trainer(config, load_data(config, CPU), Processes(0, 1, CPU), None)


def assert_equal(one: Any, other: Any, where: str = "", *, atol: float = 0.0) -> None:
    """Compare the contents of two checkpoints: bit for bit, or floats up to a tolerance."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}", atol=atol)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}[{i}]", atol=atol)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=atol, msg=lambda text: f"{where}: {text}")
    else:
        assert one == other, where


def run_processes(command: Sequence[str], environments: Sequence[dict[str, str]]) -> list[tuple[int, str]]:
    """Run a Python command once for each environment, all at the same time; return exit codes and output."""
    own = {
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "extract", HERE))),
    }
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            env=os.environ | own | environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments
    ]
    try:
        outputs = [process.communicate(timeout=120)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, output) for process, output in zip(started, outputs, strict=True)]
