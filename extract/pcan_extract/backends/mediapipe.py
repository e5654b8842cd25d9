"""MediaPipe Holistic: one person with both hands, offline, its networks inside the wheel.

Shapes: T frames, M = 1 person, V = 75 joints (33 of the body, 21 of the left hand, 21 of the right hand).
"""

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pcan_extract.backends.base import Estimate
from pcan_extract.backends.options import BackendOptions
from pcan_extract.video import Frame, VideoInfo
from pcan_pose.errors import MissingDependencyError, PcanError
from pcan_pose.skeleton import skeleton

_LAYOUT = "mediapipe_holistic"
# The hand network answers "a hand is here" at this probability or above; below it, Holistic gives no hand.
_HAND_PRESENCE = 0.5


class MediaPipeHolistic:
    """Holistic at model complexity 1, the only one whose networks come with the package.

    Scores: a body joint's score is its visibility. The hand networks give none by joint: a hand that was found has the
    visibility of its wrist, at least 0.5 (the threshold at which the network accepts a hand); one that was not found
    has score 0. A joint that the picture does not show is guessed by the network, with a low visibility.

    Holistic smooths over time and follows the person from frame to frame, so each video gets an instance of its own.

    Raises:
        MissingDependencyError: If mediapipe is not installed, or, on entering, cannot be imported.
    """

    name = "mediapipe"
    layout = _LAYOUT

    def __init__(self) -> None:
        if importlib.util.find_spec("mediapipe") is None:
            raise MissingDependencyError(
                "backend 'mediapipe': the package mediapipe is not installed; run pip install 'pcan-pose[mediapipe]' "
                "(it needs Python 3.11 or 3.12)."
            )
        self.estimator = f"mediapipe-holistic {version('mediapipe')}"
        self.settings = {"model_complexity": "1", "smooth_landmarks": "true"}
        self._holistic: Any = None

    def __enter__(self) -> Self:
        self._holistic = _load().Holistic
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holistic = None

    def estimate(self, frames: Iterator[Frame], info: VideoInfo) -> Estimate:
        """Return the poses of one video, M = 1; see `PoseBackend.estimate`."""
        found: list[npt.NDArray[np.float32]] = []
        with _quiet(), self._holistic(static_image_mode=False, model_complexity=1) as graph:
            for frame in frames:
                height, width = frame.shape[:2]
                pose = _pose(graph.process(frame))  # (V, 3)
                pose[:, :2] *= (width, height)
                found.append(pose)
        poses = np.array(found, dtype=np.float32).reshape(len(found), 1, -1, 3)  # (T, 1, V, 3)
        return Estimate(np.ascontiguousarray(poses[..., :2]), np.ascontiguousarray(poses[..., 2]))


def check(options: BackendOptions) -> list[str]:
    """Return what keeps MediaPipe from running, each with what mends it; imports it."""
    try:
        options.only(MediaPipeHolistic.name)
        MediaPipeHolistic()
        _load()
    except PcanError as error:
        return list(error.faults)
    return []


def _load() -> Any:
    """Return MediaPipe's module of Holistic.

    Raises:
        MissingDependencyError: If libraries that it is linked against are missing.
    """
    # Read by the C++ libraries when they are loaded; what the user has set is left alone.
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet():
            from mediapipe.python.solutions import holistic
    except ImportError as error:
        raise MissingDependencyError(
            f"mediapipe is installed but cannot be imported ({error}); OpenCV in it needs libraries "
            "that servers and small images lack: apt-get install libgl1 libglib2.0-0, or your system's like."
        ) from error
    return holistic


def _pose(result: Any) -> npt.NDArray[np.float32]:
    """Return x and y as fractions of the picture, and score; float32 (V, 3)."""
    pose = np.zeros((skeleton(_LAYOUT).num_joints, 3), dtype=np.float32)
    if result.pose_landmarks is None:
        return pose
    body = result.pose_landmarks.landmark
    pose[:33] = [(point.x, point.y, point.visibility) for point in body]
    wrists = {"left": 15, "right": 16}
    hands = ((33, "left", result.left_hand_landmarks), (54, "right", result.right_hand_landmarks))
    for first, side, hand in hands:
        if hand is not None:
            score = max(body[wrists[side]].visibility, _HAND_PRESENCE)
            pose[first : first + 21] = [(point.x, point.y, score) for point in hand.landmark]
    pose[:, 2] = pose[:, 2].clip(0, 1)
    return pose


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what MediaPipe's C++ prints to file descriptor 2 whatever its log level, and protobuf's own deprecation.

    It concerns the whole process; the pipeline runs backends in worker processes, which have nothing to print.
    """
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="SymbolDatabase", category=UserWarning)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
