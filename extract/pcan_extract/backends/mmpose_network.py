"""MMPose's networks: built, given their weights, and made quick without changing what they compute.

Shapes: N pictures, C channels, h rows, w columns.
"""

import functools
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcan_extract.backends.mmpose_checkpoint import give_weights, read_checkpoint
from pcan_pose.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import torch


def resolve_device(device: str) -> str:
    """Return where a network will run: cpu, cuda or cuda:N.

    Args:
        device: auto, cpu, cuda or cuda:N. auto takes a GPU if torch can use one; cuda is not looked for yet, because
            it may be another machine that the network runs on.

    Raises:
        ConfigError: If there is no device of this kind.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    if device != "cpu" and (kind != "cuda" or device.endswith(":") or (number and not number.isdecimal())):
        raise ConfigError(f"device {device!r} is none of auto, cpu, cuda and cuda:N.")
    return device


def load_network(config: Any, meta: Mapping[str, Any], checkpoint: Path, device: str, precision: str) -> Any:
    """Return MMPose's model, ready to answer. MMPose must be imported.

    Args:
        config: Its configuration; changed by MMPose while the model is built.
        meta: What MMPose makes of the configuration's dataset_info.
        checkpoint: File with its weights.
        device: cpu, cuda or cuda:N.
        precision: fp32, fp16 or bf16.

    Raises:
        CheckpointError: If the checkpoint cannot be read or is of another model.
        ConfigError: If the model cannot be built or the device is not there.
    """
    import torch

    if device != "cpu":
        number = int(device.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise ConfigError(
                f"device {device!r}: torch finds {torch.cuda.device_count()} GPUs; choose another, or cpu."
            )
    weights, trained_on = read_checkpoint(checkpoint)
    names = trained_on.get("keypoint_id2name")
    if names is not None and names != meta["keypoint_id2name"]:
        raise CheckpointError(
            f"{checkpoint}: was trained on the {len(names)} joints of {trained_on.get('dataset_name')!r}, the "
            f"configuration says the {len(meta['keypoint_id2name'])} of {meta['dataset_name']!r}; give the "
            "configuration that it was trained with."
        )
    model = _build(config)
    give_weights(model, weights, checkpoint)
    model.dataset_meta = dict(meta)
    model.eval()
    _fold_normalisation(model)
    model.to(device=device, memory_format=torch.channels_last)
    if precision != "fp32":
        in_half_precision(model, getattr(torch, {"fp16": "float16", "bf16": "bfloat16"}[precision]))
    return model


def in_half_precision(model: Any, kind: "torch.dtype") -> None:
    """Return nothing; let a model's features be computed in half precision.

    The head stays in single precision: it is a small part of the work, and MMPose reads joints off its answer with
    numpy, which does not know bfloat16.
    """
    import torch

    single = model.extract_feat

    @functools.wraps(single)
    def half(inputs: "torch.Tensor") -> Any:
        with torch.autocast(inputs.device.type, kind):
            features = single(inputs)
        if isinstance(features, torch.Tensor):
            return features.float()
        return tuple(each.float() for each in features)

    model.extract_feat = half


def _build(config: Any) -> Any:
    from mmpose.apis import init_model

    try:
        with _quiet():
            return init_model(config, None, device="cpu")
    except Exception as error:  # Whatever a layer says to a wrong setting.
        told = " ".join(str(error).split())
        raise ConfigError(
            f"{config.filename}: MMPose cannot build this model ({type(error).__name__}: {told})."
        ) from error


def _fold_normalisation(model: "torch.nn.Module") -> None:
    """Return nothing; fold batch normalisation into the convolution before it, where mmcv says that one follows.

    Only in mmcv's ConvModule, which states the order; elsewhere the order of a network's parts says nothing sure of
    the order in which they run.
    """
    import torch
    from mmcv.cnn import ConvModule
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in model.modules():
        if not isinstance(module, ConvModule) or not module.with_norm or module.with_spectral_norm:
            continue
        plain = type(module.conv) is torch.nn.Conv2d and isinstance(module.norm, _BatchNorm)
        if plain and tuple(module.order[:2]) == ("conv", "norm"):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            setattr(module, module.norm_name, torch.nn.Identity())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence mmengine, which warns that MMDetection, which no such model needs, is absent."""
    from mmengine.logging import MMLogger

    log = MMLogger.get_current_instance()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
