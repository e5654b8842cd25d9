"""Backends that need no network: their answers follow from the pictures, their faults from the pictures' width."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pcan_extract.backends import Estimate
from pcan_extract.video import Frame, VideoInfo
from pcan_pose.errors import ExtractionError
from pcan_pose.skeleton import Skeleton, skeleton


@dataclass
class FakeBackend:
    """Joint v of person m lies at (mean grey + v + 1000 m, v)."""

    name: str = "fake"
    layout: str | Skeleton = "mediapipe_holistic"
    estimator: str = "fake 1"
    settings: Mapping[str, str] = field(default_factory=dict)
    seconds_per_frame: float = 0.0
    seconds_per_video: float = 0.0
    crash_width: int | None = None
    raise_width: int | None = None
    broken: bool = False
    stop_after: int | None = None
    persons: int = 1
    score: float = 0.75
    pids: Path | None = None

    def __enter__(self) -> Self:
        if self.broken:
            raise ExtractionError("weights.onnx: no such file.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def estimate(self, frames: Iterator[Frame], info: VideoInfo) -> Estimate:
        if self.pids is not None:
            (self.pids / str(os.getpid())).touch()
        if info.width == self.crash_width:
            os.kill(os.getpid(), signal.SIGKILL)
        if info.width == self.raise_width:
            raise ValueError("a surprise")
        time.sleep(self.seconds_per_video)
        joints = np.arange(skeleton(self.layout).num_joints, dtype=np.float32)
        keypoints, scores = [], []
        for frame in frames:
            time.sleep(self.seconds_per_frame)
            mean = np.float32(frame.mean(dtype=np.float64))
            keypoints.append(np.stack([mean + joints, joints], -1))
            scores.append(np.full(len(joints), self.score))
            if len(keypoints) == self.stop_after:
                break
        shape = (len(keypoints), 1, len(joints))
        apart = np.arange(self.persons, dtype=np.float32)[:, None, None] * (1000, 0)
        return Estimate(
            (np.array(keypoints, np.float32).reshape(*shape, 2) + apart).astype(np.float32),
            np.array(scores, np.float32).reshape(shape).repeat(self.persons, 1),
        )
