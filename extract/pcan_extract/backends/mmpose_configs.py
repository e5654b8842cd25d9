"""MMPose's configurations: found by path, by name or by MMPose's short names, and read."""

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pcan_pose.errors import ConfigError, did_you_mean


def find_config(model: str) -> Path:
    """Return a configuration's file.

    Args:
        model: Path of a configuration (.py), the name of one that comes with MMPose (its file name without .py), or
            one of MMPose's short names (human, wholebody, rtmpose-l), which stand for the first model that has it.

    Raises:
        ConfigError: If there is none.
    """
    path = Path(model)
    if path.suffix == ".py":
        if not path.is_file():
            raise ConfigError(f"model {model!r}: no such file; give the path of an MMPose configuration, or its name.")
        return path
    known = {each.stem: each for each in sorted(config_folder().glob("[!_]*/**/*.py"))}
    if model in known:
        return known[model]
    aliases = _aliases(known)
    if model.lower() in aliases:
        return aliases[model.lower()]
    hint = did_you_mean(model, [*known, *aliases]) if known else ""
    # Hundreds of names are no hint.
    hint = hint if len(hint) < 200 else f" Known short names: {', '.join(sorted(aliases))}."
    raise ConfigError(f"model {model!r} is neither a file that ends in .py nor a model that comes with MMPose.{hint}")


def published_weights(path: Path) -> str | None:
    """Return the address of the weights that MMPose's authors publish for a configuration; None if there are none."""
    for metafile in sorted(path.parent.glob("*.yml")):
        if path.stem in metafile.read_text(encoding="utf-8"):
            for entry in _models(metafile):
                if Path(str(entry.get("Config"))).stem == path.stem and entry.get("Weights"):
                    weights = entry["Weights"]
                    return str(weights[0] if isinstance(weights, list) else weights)
    return None


def config_folder() -> Path:
    """Return the folder of the configurations that come with MMPose."""
    spec = importlib.util.find_spec("mmpose")
    return Path(spec.origin).parent / ".mim/configs" if spec and spec.origin else Path("mmpose-is-not-installed")


def read_config(path: Path) -> Any:
    """Return mmengine's Config of a file. A configuration is a Python program: reading it runs it.

    Raises:
        ConfigError: If it cannot be read, or is not that of a network that looks for joints in boxes.
    """
    from mmengine.config import Config

    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # Whatever the program raises.
        told = " ".join(str(error).split())
        raise ConfigError(f"{path}: not a readable MMPose configuration ({type(error).__name__}: {told}).") from error
    kind = config.get("model", {}).get("type", "none")
    kind = kind if isinstance(kind, str) else kind.__name__
    if kind.rpartition(".")[2] != "TopdownPoseEstimator":
        raise ConfigError(
            f"{path}: its model is a {kind}; expected a TopdownPoseEstimator, which looks for the joints in a "
            "person's box (RTMPose, RTMW, HRNet, ViTPose and others)."
        )
    try:
        config.test_dataloader.dataset.pipeline  # noqa: B018
    except AttributeError as error:
        raise ConfigError(
            f"{path}: has no test_dataloader.dataset.pipeline, which says how pictures are prepared; add it."
        ) from error
    return config


def read_dataset_meta(config: Any, path: Path) -> dict[str, Any]:
    """Return what MMPose knows of a configuration's joints: names, links, mirrored pairs. MMPose must be imported.

    Raises:
        ConfigError: If the configuration says nothing of them.
    """
    from mmpose.apis.inference import dataset_meta_from_config

    told = "it names no data set"
    for mode in ("train", "val", "test"):
        try:
            meta = dataset_meta_from_config(config, mode)
        except Exception as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split())}"
            continue
        if meta is not None:
            return dict(meta)
    raise ConfigError(
        f"{path}: says nothing of its joints ({told}); add metainfo=dict(from_file='...') to its data set."
    )


def config_fingerprint(config: Any) -> str:
    """Return a digest, in hexadecimal, of what a configuration says of the network and of how pictures are prepared.

    It covers what the file inherits, and leaves out the data set and the training, which change no answer.
    """
    parts = [config.model.to_dict(), [dict(step) for step in config.test_dataloader.dataset.pipeline]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _aliases(known: dict[str, Path]) -> dict[str, Path]:
    """Return the configurations that MMPose gives a short name, in lower case; the first one where several have it."""
    index = config_folder().parent / "model-index.yml"
    aliases: dict[str, Path] = {}
    files = _load(index).get("Import", []) if index.is_file() else []
    for metafile in (index.parent / name for name in files):
        # Parsing all of them would take seconds.
        if not metafile.is_file() or "Alias:" not in metafile.read_text(encoding="utf-8"):
            continue
        for entry in _models(metafile):
            names = entry.get("Alias") or []
            config = known.get(Path(str(entry.get("Config"))).stem)
            for name in [names] if isinstance(names, str) else names:
                if config is not None:
                    aliases.setdefault(str(name).lower(), config)
    return aliases


def _models(metafile: Path) -> list[dict[str, Any]]:
    return list(_load(metafile).get("Models") or [])


def _load(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as file:
        return dict(YAML(typ="safe").load(file))
