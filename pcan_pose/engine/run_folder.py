"""The run folder: resolved configuration, versions, measurements and checkpoints."""

import json
import math
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

import pcan_pose
from pcan_pose.atomic import atomic_write
from pcan_pose.config import Precision, RunConfig, load_config, to_yaml
from pcan_pose.engine.checkpoint import LAST, load_checkpoint
from pcan_pose.engine.network import with_precision
from pcan_pose.errors import CheckpointError

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"
# Where a run is computed and its data are kept may change when it is resumed, and so may the place of the runs and of
# the video model that it started from, which it needs no more; what is computed may not.
_MAY_CHANGE = frozenset(
    {
        *("output", "data.path", "data.memory", "data.map_folder", "data.rgb.crops"),
        *("encoder.pose_run", "encoder.rgb_run", "encoder.model", "encoder.rgb.model"),
        *("train.device", "train.threads"),
    }
)


class RunFolder:
    """One run's folder: ``config.yaml``, ``environment.json``, ``metrics.jsonl``, ``last.pt`` and TensorBoard events.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: TextIO | None = None
        self._events: SummaryWriter | None = None

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / LAST

    @property
    def begun(self) -> bool:
        """Whether anything lies in the folder.

        Raises:
            CheckpointError: If the path is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise CheckpointError(f"{self.path}: is a file; choose another --set name=... or --set output=...")
        return self.path.exists() and any(self.path.iterdir())

    def state(self) -> dict[str, Any] | None:
        """Return the newest checkpoint's content, or None where there is none yet.

        Raises:
            CheckpointError: If it is damaged or no checkpoint.
        """
        return load_checkpoint(self.checkpoint) if self.checkpoint.is_file() else None

    def config(self) -> RunConfig:
        """Return the configuration that the run was trained with.

        Raises:
            CheckpointError: If there is no run at the path.
        """
        if not (self.path / CONFIG).is_file():
            raise CheckpointError(
                f"{self.path}: not a run folder (no {CONFIG}); name the folder that 'pcan-pose train' made."
            )
        return load_config(self.path / CONFIG)

    def check_new(self) -> None:
        """Check that a run can be begun in the folder.

        Raises:
            CheckpointError: If there is a run already.
        """
        if self.begun and not (self.path / CONFIG).is_file():
            raise CheckpointError(
                f"{self.path}: holds files but no run (no {CONFIG}); delete it, or choose another --set name=..."
            )
        if self.begun:
            raise CheckpointError(
                f"{self.path}: already exists; continue it with --resume, or choose another --set name=..."
            )

    def create(self, config: RunConfig) -> None:
        """Make the folder and write what the run is made of.

        Raises:
            CheckpointError: If there is a run already.
        """
        self.check_new()
        self.path.mkdir(parents=True, exist_ok=True)
        _write(self.path / "environment.json", json.dumps(_environment(), indent=2) + "\n")
        _write(self.path / CONFIG, to_yaml(config))

    def continued(self, config: RunConfig) -> RunConfig:
        """Return the configuration with what `train.precision: auto` meant where the run was begun."""
        if config.train.precision != "auto":
            return config
        return config.computing_in(self.config().train.precision)

    def check_resumable(self, config: RunConfig) -> None:
        """Compare the configuration with the one that the run was started with; a run may move to another machine.

        Raises:
            CheckpointError: One line for each value that differs.
        """
        old, new = _flat(self.config().model_dump(mode="json")), _flat(config.model_dump(mode="json"))
        changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        changed = [key for key in changed if key not in _MAY_CHANGE]
        if changed:
            raise CheckpointError(
                *(
                    f"{self.path}: {key} was {old.get(key)!r}, now {new.get(key)!r}; a resumed run keeps its settings."
                    for key in changed
                )
            )

    def record(self, config: RunConfig) -> None:
        """Write where a resumed run and its data are now."""
        if self.config() != config:
            _write(self.path / CONFIG, to_yaml(config))

    def start(self, epoch: int) -> None:
        """Open the logs, dropping what a stopped run wrote after the checkpoint of this epoch."""
        file = self.path / METRICS
        if file.exists():
            rows = [row for row in read_metrics(file) if row["epoch"] <= epoch]
            _write(file, "".join(json.dumps(row) + "\n" for row in rows))
        self._metrics = file.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(self.path), purge_step=epoch + 1)

    def log(self, epoch: int, split: str, values: Mapping[str, float | None]) -> None:
        """Write one row of measurements to metrics.jsonl and TensorBoard.

        Args:
            epoch: Epochs done.
            split: What was measured, such as train or the name of a split.
            values: Named measurements; None and NaN are written as null.
        """
        if self._metrics is None or self._events is None:
            raise RuntimeError("the run folder's logs are not open")
        clean = {key: None if value is None or not math.isfinite(value) else value for key, value in values.items()}
        self._metrics.write(json.dumps({"epoch": epoch, "split": split, **clean}) + "\n")
        self._metrics.flush()
        for key, value in clean.items():
            if value is not None:
                self._events.add_scalar(f"{split}/{key}", value, epoch)

    def close(self) -> None:
        """Close the logs."""
        if self._metrics is not None and self._events is not None:
            self._metrics.close()
            self._events.close()
            self._metrics = self._events = None


def check_start(config: RunConfig, device: torch.device, *, resume: bool) -> tuple[bool, Precision]:
    """Return whether training a run would go on with what is in its folder, and what `train.precision` means for it.

    Raises:
        CheckpointError: If the folder holds what it cannot go on with.
    """
    folder = RunFolder(config.folder)
    if resume and folder.begun:
        settled = with_precision(folder.continued(config), device)
        folder.check_resumable(settled)
        return True, settled.train.precision
    folder.check_new()
    return False, with_precision(config, device).train.precision


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a metrics.jsonl; a last line that a killed run left half-written is dropped."""
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def _write(file: Path, text: str) -> None:
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


def _environment() -> dict[str, str | None]:
    commit = None
    checkout = Path(pcan_pose.__file__).parents[1]
    # An installed package may lie in somebody else's repository, whose commit says nothing here.
    if (checkout / ".git").exists():
        with suppress(OSError, subprocess.CalledProcessError):
            command = ["git", "rev-parse", "HEAD"]
            commit = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()
    return {
        "pcan_pose": pcan_pose.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torch_geometric": version("torch-geometric"),
        "numpy": np.__version__,
        "commit": commit,
    }
