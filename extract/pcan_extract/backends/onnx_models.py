"""Which ONNX file is meant: a path, or a name whose file rtmlib fetches."""

import importlib.util
from pathlib import Path
from typing import Any, Literal

from pcan_pose.errors import CheckpointError, ConfigError, MissingDependencyError, did_you_mean

SETS = {"body": "Body", "body_with_feet": "BodyWithFeet", "wholebody": "Wholebody"}
"""Sets of networks in rtmlib, and the classes that list them."""

MODES = ("lightweight", "balanced", "performance")
"""Sizes of each set."""

NAMES = tuple(f"{name}-{mode}" for name in SETS for mode in MODES)
"""Names that `find_model` knows."""


def find_model(model: str, part: Literal["pose", "det"]) -> Path:
    """Return the ONNX file that a user means, absolute.

    Args:
        model: A path, or one of `NAMES`: rtmlib's networks, fetched into its cache unless they are there.
        part: Which of the two networks of a named set: the joints' or the people's.

    Raises:
        CheckpointError: If there is no such file.
        ConfigError: If the named network cannot be fetched.
        MissingDependencyError: If a name is given and rtmlib is not installed.
    """
    if model in NAMES:
        return _fetch(model, part)
    path = Path(model).expanduser().absolute()
    if not path.is_file():
        hint = "" if path.suffix else did_you_mean(model, NAMES)
        raise CheckpointError(f"{model}: there is no such file; give the path of an .onnx file, or a name.{hint}")
    return path


def _fetch(name: str, part: Literal["pose", "det"]) -> Path:
    if importlib.util.find_spec("rtmlib") is None:
        raise MissingDependencyError(
            f"network {name!r}: the package rtmlib, which fetches it, is not installed; run pip install rtmlib, or "
            "give the path of an .onnx file."
        )
    import rtmlib
    from rtmlib.tools.file import download_checkpoint

    kind, _, mode = name.rpartition("-")
    listed: dict[str, Any] = getattr(rtmlib, SETS[kind]).MODE[mode]
    url = listed[part]
    try:
        return Path(download_checkpoint(url)).absolute()
    except Exception as error:  # no network, a full disk, a damaged archive: whatever stands in the way of the file
        raise ConfigError(
            f"network {name!r}: fetching {url} failed ({type(error).__name__}: {error}); fetch and unpack it elsewhere "
            "and give the path of the .onnx file in it."
        ) from error
