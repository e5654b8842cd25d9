"""MMPose's checkpoints, read without running anything that they hold.

mmengine reads a checkpoint that it cannot read safely a second time unsafely, and so runs what is in it. Here the file
is read before mmengine could, and refused if it would run anything.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcan_pose.errors import CheckpointError, first_names

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


class _Ignored:
    """Stands for whatever is beside the weights: training curves, arrays of colours. It keeps and does nothing."""

    def __init__(self, *_: object) -> None: ...

    def __new__(cls, *_: object) -> "_Ignored":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None: ...


_BESIDE_THE_WEIGHTS = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    "numpy.ndarray",
    "numpy.dtype",
    *(f"{builtins}.{name}" for builtins in ("builtins", "__builtin__") for name in ("getattr", "slice")),
    "_codecs.encode",
    "mmengine.logging.history_buffer.HistoryBuffer",
)


def read_checkpoint(path: Path) -> tuple[dict[str, "torch.Tensor"], Mapping[str, Any]]:
    """Return a checkpoint's weights, and what it says of the data set that it was trained on ({} if nothing).

    Raises:
        CheckpointError: If the file is missing, damaged, holds code or holds no weights.
    """
    import torch

    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; give the path of a .pth file.")
    try:
        with torch.serialization.safe_globals([(_Ignored, name) for name in _BESIDE_THE_WEIGHTS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch wraps what its reader refuses, and a damaged file can end in any exception.
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named:
            raise CheckpointError(
                f"{path}: names {named[1]}, which could run code when the file is opened; refused. If you trust its "
                "source, load it there and save {'state_dict': model.state_dict()} alone."
            ) from error
        told = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: not a readable checkpoint ({type(error).__name__}: {told}).") from error
    content = content if isinstance(content, dict) else {}
    weights = content.get("state_dict", content)
    if not isinstance(weights, dict) or not weights or not all(isinstance(w, torch.Tensor) for w in weights.values()):
        raise CheckpointError(f"{path}: holds no weights; expected MMPose's checkpoint with the key 'state_dict'.")
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): weight for name, weight in weights.items()}
    meta = content.get("meta")
    dataset = meta.get("dataset_meta") if isinstance(meta, dict) else None
    return weights, dataset if isinstance(dataset, dict) else {}


def give_weights(model: "torch.nn.Module", weights: Mapping[str, "torch.Tensor"], path: Path) -> None:
    """Return nothing; set a model's weights. What the checkpoint holds beyond them is logged as a warning.

    Raises:
        CheckpointError: If a weight is missing or has another shape.
    """
    try:
        # Not mmengine's own, which only prints what is wrong. MMPose's heads translate older names on the way.
        result = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        misfits = [line.strip().rstrip(".") for line in str(error).splitlines()[1:]]
        raise CheckpointError(f"{path}: not of this configuration: {first_names(misfits)}.") from error
    if result.missing_keys:
        faults = [f"{path}: not of this configuration: it lacks {first_names(result.missing_keys)}."]
        if result.unexpected_keys:
            faults.append(f"{path}: the configuration has no {first_names(result.unexpected_keys)}.")
        raise CheckpointError(*faults)
    if result.unexpected_keys:
        names = first_names(result.unexpected_keys)
        _log.warning("%s: weights that the configuration does not have are left out: %s.", path, names)
