"""Pose estimators behind one protocol."""

from pcan_extract.backends.base import Estimate, PoseBackend
from pcan_pose.errors import ConfigError, did_you_mean

BACKENDS = ("mediapipe",)
"""Names that `create_backend` knows."""


def create_backend(name: str) -> PoseBackend:
    """Return a backend by name, not yet loaded.

    Raises:
        ConfigError: If there is no such backend.
        MissingDependencyError: If its packages are not installed.
    """
    match name:
        case "mediapipe":
            from pcan_extract.backends.mediapipe import MediaPipeHolistic

            return MediaPipeHolistic()
        case _:
            raise ConfigError(f"unknown backend {name!r}.{did_you_mean(name, BACKENDS)}")


__all__ = ["BACKENDS", "Estimate", "PoseBackend", "create_backend"]
