"""What a user can say to a pose estimator."""

from dataclasses import dataclass, fields
from typing import Literal

from pcan_pose.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """Settings of a backend; each backend refuses those that it does not have.

    Args:
        model: Which network: a file, or a name that the backend knows.
        checkpoint: File with the network's weights, where the model is a configuration without any.
        detector: Network that finds people, a file or a name; None takes the whole picture as one person's box.
        device: auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.
        precision: Arithmetic of the networks; half precisions on a GPU only.
        batch_size: Pictures that go through a network at once, >= 1: of one video on a CPU, of consecutive ones on a
            GPU. None leaves it to the backend.
        persons: People to keep in each video, >= 1, the main ones first; more than one needs a detector.
    """

    model: str | None = None
    checkpoint: str | None = None
    detector: str | None = None
    device: str = "auto"
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    batch_size: int | None = None
    persons: int = 1

    def __post_init__(self) -> None:
        limits = (("batch size", self.batch_size), ("persons", self.persons))
        faults = [
            f"{name} must be at least 1, got {value}." for name, value in limits if value is not None and value < 1
        ]
        if faults:
            raise ConfigError(*faults)

    def only(self, backend: str, *known: str) -> None:
        """Return nothing; check that no option is set but those that a backend has.

        Args:
            backend: The backend's name.
            known: Names of its options.

        Raises:
            ConfigError: If another option differs from its default; all of them are named.
        """
        faults = [
            f"backend {backend!r} has no option {field.name.replace('_', '-')!r}; leave it out."
            for field in fields(self)
            if field.name not in known and getattr(self, field.name) != field.default
        ]
        if faults:
            raise ConfigError(*faults)
