"""Reading video models of the Hugging Face library, safely: no pickles, no code that comes with a model."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Self

import torch
from torch import nn

from pcan_pose.errors import ConfigError, MissingDependencyError

_LOGGER = logging.getLogger(__name__)
_PROCESSORS = ("preprocessor_config.json", "video_preprocessor_config.json")
# What is dropped after loading may be missing.
_DROPPED = ("pooler.", "predictor.")


class Scaling(NamedTuple):
    """Mean and standard deviation of red, green and blue, of pictures in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of_processor(cls, settings: Mapping[str, Any]) -> Self:
        """Return the scaling that a processor's settings amount to.

        Processors scale bytes first, some by other than 1/255 and with an offset of one, and normalise afterwards.

        Args:
            settings: What the library saves beside a model.
        """
        factor = 255.0 * ((settings.get("rescale_factor") or 1 / 255) if settings.get("do_rescale", True) else 1.0)
        offset = 1.0 if settings.get("offset") else 0.0
        normalise = settings.get("do_normalize", True)
        mean = (settings.get("image_mean") or _IMAGENET.mean) if normalise else (0.0,) * 3
        std = (settings.get("image_std") or _IMAGENET.std) if normalise else (1.0,) * 3
        return cls(tuple((m + offset) / factor for m in mean), tuple(s / factor for s in std))


_IMAGENET = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# What the published models of a kind were trained with, for folders that hold no processor's settings.
_USUAL = {"timesformer": Scaling((0.45,) * 3, (0.225,) * 3), "vivit": Scaling((0.5,) * 3, (0.5,) * 3)}


def transformers() -> ModuleType:
    """Return the library.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise MissingDependencyError("video transformers need transformers: pip install 'pcan-pose[rgb]'") from error
    return library


def load_network(name: str, *, pretrained: bool, check: Callable[[object], object]) -> tuple[nn.Module, Scaling]:
    """Return a network without its head, in float32, and the scaling of its pictures.

    Args:
        name: A local folder, or an id on the hub.
        pretrained: Load the weights; else draw them.
        check: Looks at the configuration before any weight is read, and raises if it will not do.

    Raises:
        ConfigError: If there is no such model, or if some of its weights are missing.
        MissingDependencyError: If transformers is not installed.
    """
    library = transformers()
    try:
        config = library.AutoConfig.from_pretrained(name, trust_remote_code=False)
        check(config)
        scaling = _scaling(library, name, config.model_type)
        if not pretrained:
            return library.AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False), scaling
        with _quiet(library):
            network, report = library.AutoModel.from_pretrained(
                name,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    # RuntimeError: weights of other shapes than the configuration says.
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"{name}: no video model could be loaded: {str(error).strip().splitlines()[0]} Expected a folder with "
            "config.json and model.safetensors, or an id on the Hugging Face hub"
        ) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(_DROPPED))
    if missing:
        raise ConfigError(
            f"{name}: {len(missing)} weights are missing, the first {missing[0]}; expected the weights of a "
            f"{config.model_type} with {config.num_hidden_layers} layers"
        )
    if unused := sorted(report["unexpected_keys"]):
        _LOGGER.info("%s: %d weights of a head or decoder are left out, the first %s", name, len(unused), unused[0])
    return network, scaling


def _scaling(library: ModuleType, name: str, kind: str) -> Scaling:
    """Return the scaling that is saved beside a model, else the usual one of its kind."""
    for file in _PROCESSORS:
        found = library.utils.cached_file(
            name, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
        if found is not None:
            return Scaling.of_processor(json.loads(Path(found).read_text(encoding="utf-8")))
    usual = _USUAL.get(kind, _IMAGENET)
    _LOGGER.info("%s: no processor's settings; pictures are scaled by mean %s and std %s", name, *usual)
    return usual


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Keep the library's progress bar and its table of weights to itself: the load is reported here."""
    output = library.utils.logging
    level, bar = output.get_verbosity(), output.is_progress_bar_enabled()
    output.set_verbosity_error()
    output.disable_progress_bar()
    try:
        yield
    finally:
        output.set_verbosity(level)
        if bar:
            output.enable_progress_bar()
