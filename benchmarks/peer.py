"""Our ST-GCN++, the baseline of every ratio, beside PYSKL's own code: parameters, operations and speed.

    git clone https://github.com/kennymckormick/pyskl
    python -m benchmarks.peer --pyskl pyskl

PYSKL's network is loaded from a clone and runs as it is, on coco17 and one stream. PYSKL needs the first version of
mmcv, which no longer installs; the three functions of it that the network calls are stood in for by torch's own layers.
"""

import importlib
import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed_counts import gflops
from benchmarks.speed_machine import Options, conditions
from benchmarks.speed_timing import Task, Work, take_turns
from pcan_pose.atomic import atomic_write
from pcan_pose.engine.distributed import pick_device
from pcan_pose.models.stgcn_plus_plus import STGCNPlusPlus
from pcan_pose.skeleton import skeleton, spatial_partition

LAYOUT, CHANNELS = "coco17", 3
THEIRS, OURS = "pyskl", "ours"


def main(arguments: Sequence[str] | None = None) -> None:
    """Load both networks, measure, print and write the figures."""
    given = _options(arguments)
    options = Options(pick_device(given.device), given.threads or torch.get_num_threads(), given.rounds)
    x = torch.randn(given.batch, 1, given.frames, skeleton(LAYOUT).num_joints, CHANNELS, device=options.device)
    ours, theirs = STGCNPlusPlus(CHANNELS, spatial_partition(skeleton(LAYOUT))), _pyskl(given.pyskl)
    networks = {THEIRS: theirs.to(options.device), OURS: ours.to(options.device)}
    found = torch.ones(x.shape[:-1], dtype=torch.bool, device=options.device)
    calls: dict[str, Callable[[], Tensor]] = {THEIRS: lambda: theirs(x), OURS: lambda: ours.features(x, found)}
    report: dict[str, Any] = {"conditions": conditions(options), "batch": given.batch, "frames": given.frames}
    works = {
        (name, what): work
        for name, network in networks.items()
        for what, work in (("forward", _forward(network, calls[name])), ("training", _training(network, calls[name])))
    }
    tasks = [Task(name, work, options.threads) for name, work in works.items()]
    timings = take_turns(tasks, rounds=given.rounds)
    for name, network in networks.items():
        report[name] = {
            "parameters": sum(weight.numel() for weight in network.parameters()),
            "gflops": gflops(works[name, "forward"]) / given.batch,
            "forward": given.batch / timings.seconds((name, "forward")),
            "training": given.batch / timings.seconds((name, "training")),
        }
    report["ours_over_pyskl"] = {what: timings.ratio((THEIRS, what), (OURS, what)) for what in ("forward", "training")}
    with atomic_write(given.out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name in networks:
        row = report[name]
        print(
            f"{name:<6} {row['parameters']:,} parameters, {row['gflops']:.3f} GFLOPs a clip, forward "
            f"{row['forward']:,.1f} clips/s, training {row['training']:,.1f} clips/s"
        )
    print("ours over PYSKL's: " + ", ".join(f"{what} {ratio:.2f}" for what, ratio in report["ours_over_pyskl"].items()))


def _forward(network: nn.Module, call: Callable[[], Tensor]) -> Work:
    @torch.inference_mode()
    def work() -> Tensor:
        network.eval()
        return call()

    return work


def _training(network: nn.Module, call: Callable[[], Tensor]) -> Work:
    def work() -> None:
        network.train()
        call().mean().backward()  # type: ignore[no-untyped-call]
        network.zero_grad(set_to_none=True)

    return work


def _pyskl(clone: Path) -> nn.Module:
    """Return the ST-GCN++ of a clone of PYSKL, with the settings of its configurations."""
    folder = clone / "pyskl"
    if not (folder / "models" / "gcns" / "stgcn.py").is_file():
        sys.exit(f"{clone}: no clone of https://github.com/kennymckormick/pyskl, or another version of it.")
    _stand_in("mmcv")
    _stand_in("mmcv.runner", load_checkpoint=None)
    _stand_in("mmcv.utils", _BatchNorm=nn.modules.batchnorm._BatchNorm)
    _stand_in(
        "mmcv.cnn",
        build_norm_layer=lambda config, channels: (config["type"], nn.BatchNorm2d(channels)),
        build_activation_layer=lambda config: nn.ReLU(inplace=True),
    )
    # The packages' own __init__ files import all of PYSKL, and with it the rest of mmcv.
    for name in ("pyskl", "pyskl.models", "pyskl.models.gcns", "pyskl.models.gcns.utils", "pyskl.utils"):
        _stand_in(name, __path__=[str(clone.joinpath(*name.split(".")))])
    _stand_in("pyskl.models.builder", BACKBONES=_Registry())
    _hand_on("pyskl.utils", "graph")
    sys.modules["pyskl.utils"].cache_checkpoint = None  # type: ignore[attr-defined]
    for name in ("init_func", "tcn", "gcn"):
        _hand_on("pyskl.models.gcns.utils", name)
    network: nn.Module = importlib.import_module("pyskl.models.gcns.stgcn").STGCN(
        {"layout": "coco", "mode": "spatial"}, gcn_adaptive="init", gcn_with_res=True, tcn_type="mstcn"
    )
    return network


class _Registry:
    def register_module(self) -> Callable[[type], type]:
        return lambda made: made


def _stand_in(name: str, **content: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module


def _hand_on(package: str, name: str) -> None:
    """Put what a module of a package defines into the package, as its __init__ file does."""
    content = vars(importlib.import_module(f"{package}.{name}"))
    vars(sys.modules[package]).update({key: value for key, value in content.items() if not key.startswith("__")})


def _options(arguments: Sequence[str] | None) -> Namespace:
    made = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    made.add_argument("--pyskl", type=Path, required=True, metavar="FOLDER", help="a clone of PYSKL")
    made.add_argument("--batch", type=int, default=16, help="clips; default: %(default)s")
    made.add_argument("--frames", type=int, default=64, help="default: %(default)s")
    made.add_argument("--rounds", type=int, default=5, help="turns of everything; default: %(default)s")
    made.add_argument("--threads", type=int, help="CPU threads; default: torch's choice")
    made.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N; default: %(default)s")
    made.add_argument("--out", type=Path, default=Path("benchmarks/results/peer.json"))
    return made.parse_args(arguments)


if __name__ == "__main__":
    main()
