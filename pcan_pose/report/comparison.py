"""The picture of two runs' F1, class by class.

Shapes: K classes of one level.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.level_metrics import ClassTable, IntArray
from pcan_pose.report.drawing import COLOURS, INK, mark_groups, new_figure, open_frame, save

_BETTER, _WORSE, _EQUAL = COLOURS[0], COLOURS[5], "#8A8A8A"


def f1_change(table: ClassTable, baseline: ClassTable) -> npt.NDArray[np.float64]:
    """Return how much higher each class's F1 is than the baseline's, float64 (K,).

    NaN where no clip has the class as its label: there F1 is at most 0 and says nothing of the class.

    Args:
        table: The run's.
        baseline: The baseline's, over the same clips.
    """
    return np.where(table.support > 0, table.f1 - baseline.f1, np.nan)


def plot_f1_change(
    path: str | Path,
    table: ClassTable,
    baseline: ClassTable,
    names: Sequence[str],
    *,
    run_names: tuple[str, str],
    parents: IntArray,
    groups: Sequence[str],
    title: str = "",
    note: str = "",
) -> Path:
    """Return the path of the F1 of each class in two runs, joined by a line; both macro means stand above.

    Args:
        path: The picture to make or replace.
        table: The run's metrics of K classes.
        baseline: The baseline's, over the same clips.
        names: K names.
        run_names: What the run and the baseline are called.
        parents: int64 (K,), the group of each class.
        groups: Names of the groups.
        title: The heading.
        note: What is written below.
    """
    from matplotlib.lines import Line2D

    num_classes = len(names)
    change = f1_change(table, baseline)
    figure = new_figure(11, 2.4 + 0.225 * num_classes)
    axes = figure.add_subplot()
    places = np.arange(num_classes)
    colours = [_BETTER if points > 0 else _WORSE if points < 0 else _EQUAL for points in change.tolist()]
    asked = np.isfinite(change)
    axes.hlines(places[asked], baseline.f1[asked], table.f1[asked], colors=np.asarray(colours)[asked], linewidth=3)
    axes.scatter(baseline.f1[asked], places[asked], s=30, facecolors="white", edgecolors=INK, linewidths=1.2, zorder=3)
    axes.scatter(table.f1[asked], places[asked], s=34, c=np.asarray(colours)[asked], linewidths=0, zorder=4)
    for place in places.tolist():
        here = asked[place]
        axes.text(
            1.03,
            place,
            f"{_points(change[place])}   n = {table.support[place]:,}" if here else "no clips",
            va="center",
            fontsize=8.5,
            color=colours[place],
        )
    axes.set_yticks(places, names, fontsize=8.5)
    axes.set_ylim(num_classes - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.24)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("F1; on the right the change in points" + (f"\n{note}" if note else ""), fontsize=10)
    axes.grid(axis="x", color="#E8E8E8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    open_frame(axes)
    mark_groups(axes, parents, groups, 9, across=False)
    dot: dict[str, Any] = {"linestyle": "", "markersize": 6}
    handles = [
        Line2D([], [], marker="o", color=_BETTER, label=f"{run_names[0]}, better", **dot),
        Line2D([], [], marker="o", color=_WORSE, label=f"{run_names[0]}, worse", **dot),
        Line2D([], [], marker="o", color=_EQUAL, label="equal", **dot),
        Line2D([], [], marker="o", mfc="white", mec=INK, mew=1.2, label=run_names[1], **dot),
    ]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=9)
    axes.set_title(title, fontsize=12, loc="left", pad=30)
    return save(figure, path)


def _points(change: float) -> str:
    return "=" if change == 0 else f"{100 * change:+.1f}"
