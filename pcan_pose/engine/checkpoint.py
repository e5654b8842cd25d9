"""Checkpoints: written whole or not at all, read without running code."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import CheckpointError

LAST = "last.pt"


def save_checkpoint(file: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    with atomic_write(file) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # Of a full disk torch says something else.
            raise error.__context__ if isinstance(error.__context__, OSError) else error  # noqa: B904


def fingerprint(file: Path) -> int:
    """Return an int64 that tells a checkpoint's bytes from others; 0 where there is no file."""
    if not file.is_file():
        return 0
    with file.open("rb") as stream:
        return int.from_bytes(hashlib.file_digest(stream, "sha256").digest()[:8], signed=True)


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Return a checkpoint's content, tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds anything but tensors and plain containers.
    """
    if not file.is_file():
        raise CheckpointError(f"{file}: there is no checkpoint; has the run been trained?")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{file}: refused, it holds more than tensors and plain containers, or is damaged; "
            "use a checkpoint of this project."
        ) from error
    except Exception as error:  # damaged bytes lead the reader into any error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{file}: damaged ({reason}); train again or use another checkpoint.") from error
    if not isinstance(content, dict) or not {"model", "taxonomy", "epoch"} <= content.keys():
        raise CheckpointError(f"{file}: not a checkpoint of pcan-pose (model, taxonomy or epoch is missing).")
    return content
