"""The picture of the prototypes: how alike each two of them are.

Shapes: K classes, D embedding width.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pcan_pose.level_metrics import FloatArray, IntArray
from pcan_pose.report.ambiguity import BoolArray
from pcan_pose.report.drawing import ABSENT, FEW_CLASSES, INK, mark_groups, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def unit_rows(rows: FloatArray) -> npt.NDArray[np.float64]:
    """Return the rows at length 1, float64; rows of zeros stay zeros."""
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def cosine_similarity(prototypes: FloatArray, seen: BoolArray) -> npt.NDArray[np.float64]:
    """Return the cosine of each two prototypes, float64 (K, K); NaN where one of the two was never seen.

    Args:
        prototypes: (K, D).
        seen: bool (K,), classes whose prototype was ever updated.
    """
    unit = unit_rows(prototypes)
    return np.where(seen[:, None] & seen, np.clip(unit @ unit.T, -1, 1), np.nan)


def alike_pairs(similarity: FloatArray, count: int) -> list[tuple[int, int, float]]:
    """Return the most alike pairs of prototypes as (class, class, cosine), the most alike first.

    Args:
        similarity: (K, K), NaN where there is none.
        count: The most pairs to return.
    """
    pairs = [(i, j, float(similarity[i, j])) for i, j in np.argwhere(np.isfinite(similarity)).tolist() if i < j]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:count]


def plot_similarity(
    path: str | Path,
    similarity: FloatArray,
    names: Sequence[str],
    *,
    parents: IntArray,
    groups: Sequence[str],
    title: str = "",
    note: str = "",
) -> Path:
    """Return the path of the similarity matrix: blue is alike, white is unrelated, red is opposite.

    Up to 15 classes every cell says its value; with more, a dot marks each row's nearest other prototype. Classes
    that were never seen are hatched.

    Args:
        path: The picture to make or replace.
        similarity: (K, K) in [-1, 1]; NaN where there is none.
        names: K names.
        parents: int64 (K,), the group of each class.
        groups: Names of the groups.
        title: The heading.
        note: What is written below.
    """
    from matplotlib import colormaps

    num_classes = len(names)
    few = num_classes <= FEW_CLASSES
    side = 3.0 + num_classes * (0.75 if few else 0.235)
    size = 10.0 if few else 8.0
    figure = new_figure(side + 1, side)
    axes = figure.add_subplot()
    image = axes.imshow(similarity, cmap=colormaps["RdBu"].with_extremes(bad=ABSENT), vmin=-1, vmax=1)
    bar = figure.colorbar(image, ax=axes, location="left", shrink=0.5, pad=0.03, aspect=30)
    bar.set_label("cosine similarity", fontsize=size + 2)
    bar.ax.tick_params(labelsize=size)
    legend = _hatch(axes, ~np.isfinite(np.diagonal(similarity)))
    if few:
        _write_values(axes, similarity, size)
    else:
        legend = ["dot: the row's nearest other prototype", *legend]
        _mark_nearest(axes, similarity)
    axes.set_xticks(range(num_classes), [name.split()[-1] for name in names], fontsize=size - (0 if few else 1))
    axes.set_yticks(range(num_classes), names, fontsize=size)
    axes.tick_params(length=0)
    below = ["action id", *legend, *([note] if note else [])]
    axes.set_xlabel("\n".join(below), fontsize=size + 3, labelpad=8)
    mark_groups(axes, parents, groups, size + 1)
    axes.set_title(title, fontsize=size + (4 if few else 6), loc="left", pad=12)
    return save(figure, path)


def _hatch(axes: "Axes", unseen: BoolArray) -> list[str]:
    """Hatch the rows and columns of unseen classes; return the legend's line for them."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"fill": False, "hatch": "////", "edgecolor": "#9A9A9A", "linewidth": 0}
    for place in np.flatnonzero(unseen).tolist():
        axes.add_patch(Rectangle((-0.5, place - 0.5), len(unseen), 1, **look))
        axes.add_patch(Rectangle((place - 0.5, -0.5), 1, len(unseen), **look))
    return ["hatched: never recognised in training, so there is no prototype"] if unseen.any() else []


def _write_values(axes: "Axes", similarity: FloatArray, size: float) -> None:
    for row, column in np.argwhere(np.isfinite(similarity)).tolist():
        value = similarity[row, column]
        colour = "white" if abs(value) > 0.65 else INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=size - 1, color=colour)


def _mark_nearest(axes: "Axes", similarity: FloatArray) -> None:
    others = np.where(np.eye(len(similarity), dtype=bool) | ~np.isfinite(similarity), -np.inf, similarity)
    rows = np.flatnonzero(np.isfinite(others).any(axis=1))
    columns = others[rows].argmax(axis=1)
    # Dark cells need a light dot.
    colours = ["white" if abs(value) > 0.65 else "black" for value in similarity[rows, columns]]
    axes.scatter(columns, rows, s=9, c=colours, linewidths=0)
