"""The networks whose speed is measured, and what they do.

Shapes: N clips, M persons, T frames, V joints, C channels, F features.
"""

import importlib
import importlib.util
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.speed_machine import Options, measures_bfloat16
from benchmarks.speed_timing import Work
from pcan_pose.config import RunConfig, load_config
from pcan_pose.data.streams import input_channels
from pcan_pose.engine.network import build_network
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import MA52

BASELINE = "stgcn++"
ENCODERS = ("pose", "refined", "committee", BASELINE, "ctr-gcn")
OURS = ("pose", "refined", "committee")
PRECISIONS = ("fp32", "bf16")
LAYOUT, DIMS = "openpose28", 2
NO_FOLDING = "pcan_pose.models.folding is not there"
NO_BFLOAT16 = "bf16: this device is slow in it and would take hours"


@dataclass(frozen=True)
class Batch:
    """Random input of an encoder, every joint found.

    Args:
        x: float32 (N, 1, T, V, C), four streams and the score.
        found: bool (N, 1, T, V).
        actions: int64 (N,).
    """

    x: Tensor
    found: Tensor
    actions: Tensor

    @classmethod
    def random(cls, clips: int, frames: int, device: torch.device) -> "Batch":
        """Return so many clips of MA-52's layout and labels."""
        channels = input_channels(DIMS, config_of("pose").data.streams)
        x = torch.randn(clips, 1, frames, skeleton(LAYOUT).num_joints, channels, device=device)
        actions = torch.randint(MA52.num_actions, (clips,), device=device)
        return cls(x, torch.ones(x.shape[:-1], dtype=torch.bool, device=device), actions)


def config_of(name: str, precision: str = "fp32") -> RunConfig:
    """Return MA-52's configuration with another encoder: the committee is the one of NW-UCLA's best run."""
    config = load_config("ma52_pose", [f"train.precision={precision}"])
    if name == "committee":
        return config.model_copy(update={"encoder": load_config("nwucla").encoder})
    return load_config("ma52_pose", [f"train.precision={precision}", f"encoder={{type: {name}}}"])


def network(name: str, precision: str, device: torch.device) -> Recognizer:
    """Return an untrained network with MA-52's full head."""
    torch.manual_seed(0)
    return build_network(config_of(name, precision), MA52, layout=LAYOUT, dims=DIMS).to(device)


def precisions(options: Options) -> tuple[str, ...]:
    """Return the precisions to measure."""
    return tuple(precision for precision in PRECISIONS if precision != "bf16" or measures_bfloat16(options))


def left_out(options: Options) -> list[str]:
    """Return what `precisions` leaves out, and why."""
    return [] if len(precisions(options)) == len(PRECISIONS) else [NO_BFLOAT16]


def folding() -> Callable[[nn.Module], nn.Module] | None:
    """Return what folds BatchNorm into the layers before it, or None where it is not there."""
    if importlib.util.find_spec("pcan_pose.models.folding") is None:
        return None
    fold: Callable[[nn.Module], nn.Module] = importlib.import_module("pcan_pose.models.folding").fold
    return fold


def folded(recognizer: Recognizer, fold: Callable[[nn.Module], nn.Module]) -> Recognizer:
    """Return the network with a folded encoder, in evaluation mode."""
    encoder = fold(recognizer.encoder)
    return Recognizer(encoder, deepcopy(recognizer.head), recognizer.precision).eval()  # type: ignore[arg-type]


def compiled(recognizer: Recognizer) -> Recognizer:
    """Return a copy with an encoder compiled as ``train.compile`` does it: on a GPU replayed as CUDA graphs."""
    copy = deepcopy(recognizer)
    on_gpu = next(copy.parameters()).is_cuda
    copy.encoder.compile(mode="reduce-overhead" if on_gpu else None)
    return copy


def forward(recognizer: Recognizer, batch: Batch) -> Work:
    """Return work that encodes a batch to pooled features, as inference does."""

    @torch.inference_mode()
    def work() -> Tensor:
        return recognizer.eval().encode(batch.x, batch.found)  # (N, F)

    return work


def training(recognizer: Recognizer, batch: Batch) -> Work:
    """Return work that is an encoder's training step: forward, one linear classifier, backward, SGD's update.

    The hierarchical head is the same for all encoders and measured apart.
    """
    encoder = recognizer.encoder
    device = batch.x.device
    classifier = nn.Linear(encoder.out_features, MA52.num_actions).to(device)
    weights = [*encoder.parameters(), *classifier.parameters()]
    optimizer = torch.optim.SGD(weights, 1e-3, 0.9, nesterov=True, fused=device.type == "cuda" or None)

    def work() -> None:
        recognizer.train()
        loss = F.cross_entropy(classifier(recognizer.encode(batch.x, batch.found)), batch.actions)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        # At the end, so that a step starts with nothing of the last one in memory.
        optimizer.zero_grad(set_to_none=True)

    return work
