"""Keypoint pickles as the field writes them, right and wrong."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import TREE

from pcan_pose.errors import DataError, PcanError
from pcan_pose.pickles import read_pickle

LABELS = {"label_names": list(TREE.actions), "coarse_names": list(TREE.body_parts), "fine_to_coarse": [0, 0, 1]}


def annotation(name: str, *, joints: int = 17, dims: int = 2, frames: int = 4, **change: Any) -> dict[str, Any]:
    random = np.random.default_rng(list(name.encode()))
    made = {
        "frame_dir": name,
        "label": 1,
        "total_frames": frames,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "keypoint": random.uniform(1, 400, (1, frames, joints, dims)).astype(np.float16),
        "keypoint_score": random.uniform(0.1, 1, (1, frames, joints)).astype(np.float16),
        **change,
    }
    return {key: value for key, value in made.items() if value is not ...}


def write(folder: Path, content: Any, name: str = "demo_all.pkl") -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(content, 4))
    return path


def faults_of(path: Path, kind: type[PcanError] = DataError, **options: Any) -> list[str]:
    with pytest.raises(kind) as caught:
        read_pickle(path, **options)
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]
