"""The picture of the confusion inside each body part.

Shapes: K actions, k actions of one body part.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.level_metrics import IntArray
from pcan_pose.report.drawing import ABSENT, INK, new_figure, save, shorten
from pcan_pose.taxonomy import Taxonomy

_COLUMNS = 2
_CELL = 0.42  # inches
_NAME_WIDTH = 2.7  # inches


def part_confusion(confusion: IntArray, actions: npt.NDArray[np.integer[Any]]) -> IntArray:
    """Return the confusion among a body part's actions, int64 (k, k + 1).

    The last column counts clips that were taken for an action of another body part.

    Args:
        confusion: int64 (K, K), rows are labels, columns predictions.
        actions: int64 (k,), the body part's actions.
    """
    inside = confusion[np.ix_(actions, actions)]  # (k, k)
    elsewhere = confusion[actions].sum(axis=1) - inside.sum(axis=1)  # (k,)
    return np.concatenate([inside, elsewhere[:, None]], axis=1)


def plot_part_confusions(
    path: str | Path, confusion: IntArray, taxonomy: Taxonomy, title: str = "", note: str = ""
) -> Path:
    """Return the path of one confusion matrix for each body part, rows as per cent of their label's clips.

    Args:
        path: The picture to make or replace.
        confusion: int64 (K, K), rows are labels, columns predictions.
        taxonomy: The action tree.
        title: The heading.
        note: What is written below.
    """
    from matplotlib import colormaps

    parts = [np.flatnonzero(taxonomy.parent_array == part) for part in range(taxonomy.num_body_parts)]
    columns = min(_COLUMNS, len(parts))
    rows = math.ceil(len(parts) / columns)
    # Panels share rows and columns of the page, so that cells are equally large everywhere.
    widths = [max(len(actions) + 1 for actions in parts[column::columns]) for column in range(columns)]
    heights = [max(len(actions) for actions in parts[row * columns : (row + 1) * columns]) for row in range(rows)]
    figure = new_figure(sum(widths) * _CELL + columns * (_NAME_WIDTH + 0.3), sum(heights) * _CELL + rows * 0.9 + 1.0)
    grid = figure.add_gridspec(rows, columns, width_ratios=widths, height_ratios=heights)
    colormap = colormaps["Blues"].with_extremes(bad=ABSENT)
    for part, actions in enumerate(parts):
        row, column = divmod(part, columns)
        axes = figure.add_subplot(grid[row, column])
        counts = part_confusion(confusion, actions)
        support = counts.sum(axis=1, keepdims=True)
        shares = np.where(support > 0, counts / np.maximum(support, 1), np.nan)
        edges = np.arange(len(actions) + 2) - 0.5
        axes.pcolormesh(edges, edges[:-1], shares, cmap=colormap, vmin=0, vmax=1, edgecolors="#E4E4E4", linewidth=0.5)
        axes.set_aspect("equal")
        for y, x in np.argwhere(counts > 0).tolist():
            colour = "white" if shares[y, x] > 0.55 else INK
            axes.text(x, y, f"{100 * shares[y, x]:.0f}", ha="center", va="center", fontsize=8.5, color=colour)
        k = len(actions)
        axes.axvline(k - 0.5, ymin=1 - k / heights[row], color="#555555", linewidth=1.2)
        axes.set_xlim(-0.5, widths[column] - 0.5)
        axes.set_ylim(heights[row] - 0.5, -0.5)
        names = [f"{shorten(taxonomy.actions[i])}  {i}" for i in actions.tolist()]
        axes.set_yticks(range(k), names, fontsize=8.5)
        axes.set_xticks(range(k + 1), [*map(str, actions.tolist()), "other\nparts"], fontsize=8.5)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)
        stays = int(counts[:, :k].sum())
        share = f", {stays / counts.sum():.0%} of clips stay inside" if counts.sum() else ", no clips"
        axes.set_title(f"{taxonomy.body_parts[part]}{share}", fontsize=11, loc="left", pad=6)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    absent = "; grey rows: no clips" if (confusion.sum(axis=1) == 0).any() else ""
    legend = f"rows: label, columns: predicted action id; cells: per cent of the label's clips{absent}"
    figure.supxlabel(legend + (f"\n{note}" if note else ""), fontsize=9.5, x=0.01, ha="left")
    return save(figure, path)
