"""Pose estimators behind one protocol."""

from pcan_extract.backends.base import Estimate, PoseBackend
from pcan_extract.backends.options import BackendOptions
from pcan_pose.errors import ConfigError, did_you_mean

BACKENDS = ("mediapipe", "mmpose", "onnx")
"""Names that `create_backend` knows."""


def create_backend(name: str, options: BackendOptions | None = None) -> PoseBackend:
    """Return a backend by name, not yet loaded.

    Args:
        name: One of `BACKENDS`.
        options: What the user says to it; None for its defaults.

    Raises:
        ConfigError: If there is no such backend, or it cannot be used with these options.
        MissingDependencyError: If its packages are not installed.
    """
    options = options or BackendOptions()
    match name:
        case "mediapipe":
            from pcan_extract.backends.mediapipe import MediaPipeHolistic

            options.only(name)
            return MediaPipeHolistic()
        case "mmpose":
            from pcan_extract.backends.mmpose import MMPoseBackend

            return MMPoseBackend(options)
        case "onnx":
            from pcan_extract.backends.onnx import OnnxBackend

            return OnnxBackend(options)
        case _:
            raise ConfigError(f"unknown backend {name!r}.{did_you_mean(name, BACKENDS)}")


__all__ = ["BACKENDS", "BackendOptions", "Estimate", "PoseBackend", "create_backend"]
