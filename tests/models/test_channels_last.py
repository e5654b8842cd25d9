"""The default encoder keeps the channels last from the input to the pooling: no layer copies a feature map's layout."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pcan_pose.models.pose_encoder import PoseEncoder
from pcan_pose.skeleton import adjacency, skeleton

CLIPS, FRAMES, JOINTS, CHANNELS = 3, 32, 28, 13
COPIES = {"clone", "copy_", "contiguous", "_reshape_copy", "cat"}


class Copies(TorchDispatchMode):
    """Counts the copies of feature maps, and keeps those that convolutions answer with."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: Counter[tuple[int, ...]] = Counter()
        self.convolved: list[Tensor] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        # The weights' sizes are no multiples of these.
        if name in COPIES and result.numel() % (CLIPS * JOINTS) == 0:
            self.copied[tuple(result.shape)] += 1
        if name == "convolution":
            self.convolved.append(result)
        return result


def encoder(**options: Any) -> PoseEncoder:
    """Return a small network of the default's shape."""
    torch.manual_seed(0)
    return PoseEncoder(CHANNELS, adjacency(skeleton("openpose28")), widths=(16, 32, 64), depths=(1, 1, 1), **options)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_only_the_strided_residual_paths_copy_feature_maps(precision: torch.dtype) -> None:
    network = encoder()
    x = torch.randn(CLIPS, 1, FRAMES, JOINTS, CHANNELS)
    found = torch.ones(CLIPS, 1, FRAMES, JOINTS, dtype=torch.bool)
    with Copies() as forward, torch.autocast("cpu", precision, enabled=precision != torch.float32):
        features = network(x, found)
    with Copies() as backward:
        features.float().square().sum().backward()
    # They take every second frame, on purpose: see `Residual`.
    assert forward.copied == {(CLIPS, 16, 8, JOINTS): 1, (CLIPS, 32, 4, JOINTS): 1}
    assert not backward.copied
    assert len(forward.convolved) == 1 + 3 * 3 + 2
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in forward.convolved)


def test_a_layout_copy_would_be_seen() -> None:
    network = encoder()
    network.blocks[1].register_forward_hook(lambda module, inputs, output: output.contiguous())
    x = torch.randn(CLIPS, 1, FRAMES, JOINTS, CHANNELS)
    with Copies() as forward:
        network(x, torch.ones(CLIPS, 1, FRAMES, JOINTS, dtype=torch.bool))
    assert forward.copied[(CLIPS, 32, 8, JOINTS)] == 1
