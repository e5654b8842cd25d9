"""Draws what it costs to read more and more clips and to pass over them once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcan_pose.report.drawing import COLOURS, new_figure, open_frame, save

_PANELS = {
    "reading the set, seconds": ("read_seconds", 1.0),
    "one pass over the batches, seconds": ("pass_seconds", 1.0),
    "own memory at most, GB": ("own_bytes", 1e9),
}


def plot_growth(file: Path, growth: Sequence[dict[str, Any]], title: str) -> Path:
    """Return the path of the picture: a panel for each measure against the clips, all axes logarithmic.

    Args:
        file: The picture to make or replace.
        growth: What `benchmarks.scale` measured: clips, way and measures.
        title: The heading.
    """
    figure = new_figure(4.2 * len(_PANELS), 3.8)
    ways = list(dict.fromkeys(entry["way"] for entry in growth))
    for axes, (heading, (name, unit)) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for way, colour, marker in zip(ways, COLOURS, "osD", strict=False):
            own = sorted((entry["clips"], entry[name] / unit) for entry in growth if entry["way"] == way)
            axes.plot(*zip(*own, strict=True), color=colour, marker=marker, label=way)
        axes.set(xscale="log", yscale="log", xlabel="clips")
        axes.set_title(heading, fontsize=11, loc="left")
        open_frame(axes)
    figure.axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return save(figure, file)
