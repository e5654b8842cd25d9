"""Configurations in files: one complete YAML file a run, checked whole before anything starts.

YAML is read as version 1.2 (`load_yaml`). Unknown keys are errors that name the nearest
known one. Every value can be set from the command line as ``section.key=value``.
"""

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from pcan_pose.config.encoder import EncoderConfig
from pcan_pose.config.head import PUBLISHED_CALIBRATION, PUBLISHED_HEAD
from pcan_pose.config.run import RunConfig
from pcan_pose.config.schema import describe_keys
from pcan_pose.errors import ConfigError, did_you_mean
from pcan_pose.yaml_files import load_yaml


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the checked configuration of a YAML file.

    Args:
        path: The file, or the name of one that ships with the package.
        overrides: Settings such as ``optim.lr=0.05``; their values are YAML too.

    Raises:
        ConfigError: If there is no such file; or one line for each unknown key and each value that does not fit.
    """
    path = find_config(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8 ({error.reason}); save it as UTF-8.") from error
    content = _yaml(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys such as name, data and train, got {type(content).__name__}.")
    if any(override.partition("=")[0].strip() == "head.mode" for override in overrides):
        _forget_switches(content)
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--set {override}: expected key=value, e.g. --set optim.lr=0.05.")
        _assign(content, key.strip().split("."), _yaml(value, f"--set {override}"), override)
    return parse_config(content, str(path))


def find_config(path: str | Path) -> Path:
    """Return the path of a configuration: a file, or else one that ships with the package, by its name.

    Raises:
        ConfigError: If there is neither.
    """
    path = Path(path)
    if path.is_file():
        return path
    # In a wheel the folder lies inside the package, in a checkout beside it.
    package = Path(__file__).parents[1]
    folders = [folder for folder in (package / "configs", package.parent / "configs") if folder.is_dir()]
    shipped = {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    if path.stem in shipped and path.parent.name in ("", "configs") and path.suffix in ("", ".yaml"):
        return shipped[path.stem]
    raise ConfigError(
        f"{path}: there is no such file, nor a configuration of that name.{did_you_mean(path.stem, shipped)}"
    )


def parse_config(content: dict[str, Any], where: str) -> RunConfig:
    """Return the checked configuration of plain containers.

    Raises:
        ConfigError: One line for each unknown key and each value that does not fit.
    """
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(*_faults(error, where)) from error


def to_yaml(config: RunConfig) -> str:
    """Return the whole configuration as YAML, every key with its value."""
    from ruamel.yaml import YAML

    stream = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.dump(config.model_dump(mode="json"), stream)
    return stream.getvalue()


def _yaml(text: str, where: str) -> Any:
    try:
        return _unshared(load_yaml(text))
    except ValueError as error:
        raise ConfigError(f"{where}: not YAML ({error}).") from error


def _unshared(content: Any) -> Any:
    """Return a copy in which what a YAML alias repeats is a container of its own, which `--set` changes alone."""
    if isinstance(content, dict):
        return {key: _unshared(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_unshared(value) for value in content]
    return content


def _forget_switches(content: dict[str, Any]) -> None:
    """Take a file's switches out that a mode sets, so that a mode given on the command line decides them anew."""
    head = content.get("head")
    if not isinstance(head, dict):
        return
    for name in PUBLISHED_HEAD:
        head.pop(name, None)
    if isinstance(head.get("calibration"), dict):
        for name in PUBLISHED_CALIBRATION:
            head["calibration"].pop(name, None)


def _assign(content: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    place: Any = content
    for depth, key in enumerate(keys):
        step = _step(place, key, ".".join(keys[:depth]), override)
        if depth == len(keys) - 1:
            place[step] = value
        else:
            if isinstance(place, dict) and place.get(step) is None:  # not there, or a section that is off
                place[step] = {}
            place = place[step]


def _step(place: Any, key: str, where: str, override: str) -> str | int:
    """Return what a key means inside a section or a list, whose items are numbered from 0."""
    if isinstance(place, list):
        if key.isdecimal() and int(key) < len(place):
            return int(key)
        items = f"has items 0 to {len(place) - 1}, and no {key!r}" if place else "is empty"
        raise ConfigError(f"--set {override}: {where} {items}.")
    if isinstance(place, dict):
        return key
    raise ConfigError(f"--set {override}: {where} is a value, not a section.")


_ENCODERS = {get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(EncoderConfig)}
_OF_ENCODERS = {"encoder", "pose", "rgb"}
"""Keys whose section is one of several encoders."""


def _faults(error: ValidationError, where: str) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        place = _keys(fault["loc"])
        key = ".".join(place)
        if fault["type"] == "extra_forbidden":
            options = _known(place[:-1])
            if place[-1] in options:
                kind = next(part for part in reversed(fault["loc"]) if part in _ENCODERS)
                yield f"{where}: {key!r} is a key of other encoder types than {kind!r}; leave it out, or set the type."
            else:
                yield f"{where}: unknown key {key!r}.{did_you_mean(place[-1], options)}"
        elif fault["type"] == "missing":
            yield f"{where}: {key!r} is missing; it has no default."
        else:
            # What does not go together in a section says itself what it found.
            itself = fault["type"] == "value_error" and isinstance(fault["input"], dict)
            got = "" if itself else f", got {fault['input']!r}"
            yield f"{where}: {key or 'configuration'}: {fault['msg']}{got}."


def _keys(loc: tuple[int | str, ...]) -> list[str]:
    """Return pydantic's path without the types of encoders, which are part of it but no keys of the file."""
    keys: list[str] = []
    chosen = False
    for part in loc:
        is_type = chosen and part in _ENCODERS
        chosen = not is_type and part in _OF_ENCODERS
        if not is_type:
            keys.append(str(part))
    return keys


def _known(path: list[str]) -> list[str]:
    prefix = "".join(("N" if part.isdigit() else part) + "." for part in path)
    return sorted({key.removeprefix(prefix).split(".")[0] for key, *_ in describe_keys() if key.startswith(prefix)})
