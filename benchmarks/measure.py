"""What a trained run costs, and what machine it is measured on."""

import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from pcan_pose.data.streams import input_channels
from pcan_pose.engine.branches import some_members
from pcan_pose.engine.run_folder import METRICS, read_metrics
from pcan_pose.engine.test import load_run
from pcan_pose.skeleton import skeleton


def cost(run: Path, members: Sequence[int] = ()) -> dict[str, float]:
    """Return the parameters of a run's network, the GFLOPs of one clip and the seconds of its training.

    The parameters are those of encoder and head. A multiply-add is two operations; the counter sees convolutions and
    matrix products, and not norms, activations and pooling. The seconds are those of the epochs, summed over a run that
    was stopped and resumed; loading, measuring and writing are not in them. Of some members the seconds are not known.

    Args:
        run: The run folder.
        members: Members of a committee, counted from 1; none for the whole network.
    """
    config, recognizer, _, state = load_run(run, "cpu")
    if members:
        recognizer = some_members(recognizer, members)
    joints = skeleton(str(state["layout"])).num_joints
    channels = input_channels(int(str(state["dims"])), config.data.streams)
    inputs: list[torch.Tensor] = []
    for view in config.views:
        x = torch.zeros(1, view.persons, view.frames, joints, channels)  # (1, M, T, V, C)
        inputs += x, torch.ones(x.shape[:-1], dtype=torch.bool)
    recognizer.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        recognizer(*inputs)
    found = {
        "parameters": sum(parameter.numel() for parameter in recognizer.parameters()),
        "gflops": counter.get_total_flops() / 1e9,
    }
    if not members:
        found["seconds"] = sum(row["seconds"] for row in read_metrics(run / METRICS) if "seconds" in row)
    return found


def threads_text(count: int) -> str:
    """Return a number of threads in words."""
    return "1 thread" if count == 1 else f"{count} threads"


def device_name(device: torch.device) -> str:
    """Return the name of a GPU or of the processor."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
