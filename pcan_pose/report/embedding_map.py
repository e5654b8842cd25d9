"""Maps of the embeddings with their prototypes, in the plane in which they differ most.

Rows are brought to length 1 first, because calibration and rectification see nothing but angles; the plane is that of
the two largest principal components.

Shapes: N clips, K actions, D embedding width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pcan_pose.level_metrics import FloatArray
from pcan_pose.report.ambiguity import MISSED, Ambiguity, BoolArray
from pcan_pose.report.drawing import INK, group_colour, new_figure, save, shorten
from pcan_pose.report.prototypes import unit_rows
from pcan_pose.taxonomy import Taxonomy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {"FN1": "^", "FN2": "s", "FN3": "X"}
_PANEL_COLUMNS = 2


@dataclass(frozen=True, eq=False)
class Projection:
    """Clips and prototypes in a plane.

    Args:
        clips: float64 (N, 2).
        prototypes: float64 (K, 2); NaN where there is none.
        shares: How much of the clips' variance each axis shows, in [0, 1].
    """

    clips: npt.NDArray[np.float64]
    prototypes: npt.NDArray[np.float64]
    shares: tuple[float, float]


def project(embeddings: FloatArray, prototypes: FloatArray, seen: BoolArray) -> Projection:
    """Return the clips and prototypes in the plane of the clips' two largest principal components.

    Args:
        embeddings: (N, D), at least one row.
        prototypes: (K, D).
        seen: bool (K,), which prototypes there are.
    """
    unit = unit_rows(embeddings)
    centre = unit.mean(axis=0)
    _, lengths, axes = np.linalg.svd(unit - centre, full_matrices=False)
    plane = np.zeros((2, unit.shape[1]))
    plane[: len(axes[:2])] = axes[:2]
    # The sign of a principal component is arbitrary; the largest weight is made positive so that pictures repeat.
    largest = np.abs(plane).argmax(axis=1)
    plane *= np.where(plane[[0, 1], largest] < 0, -1, 1)[:, None]
    variance = np.zeros(2)
    variance[: len(lengths[:2])] = lengths[:2] ** 2
    shares = variance / max(float((lengths**2).sum()), 1e-12)
    placed = np.where(seen[:, None], (unit_rows(prototypes) - centre) @ plane.T, np.nan)  # (K, 2)
    return Projection((unit - centre) @ plane.T, placed, (float(shares[0]), float(shares[1])))


def plot_map(
    path: str | Path,
    embeddings: FloatArray,
    prototypes: FloatArray,
    seen: BoolArray,
    ambiguity: Ambiguity,
    taxonomy: Taxonomy,
    title: str = "",
) -> Path:
    """Return the path of the map of all clips, coloured by body part, ambiguous ones marked.

    Args:
        path: The picture to make or replace.
        embeddings: (N, D), of labelled clips.
        prototypes: (K, D).
        seen: bool (K,), which prototypes there are.
        ambiguity: Labels and kinds of the N clips.
        taxonomy: The action tree.
        title: The heading.
    """
    parents = taxonomy.parent_array
    figure = new_figure(12.5, 9.5)
    axes = figure.add_subplot()
    _draw(axes, project(embeddings, prototypes, seen), parents[ambiguity.labels], parents, ambiguity)
    parts = [_swatch(part, name) for part, name in enumerate(taxonomy.body_parts)]
    axes.legend(handles=[*parts, *_marks(ambiguity, seen)], **_LEGEND)
    axes.set_title(title, fontsize=13, loc="left", pad=10)
    return save(figure, path)


def plot_part_maps(
    path: str | Path,
    embeddings: FloatArray,
    prototypes: FloatArray,
    seen: BoolArray,
    ambiguity: Ambiguity,
    taxonomy: Taxonomy,
    title: str = "",
) -> Path:
    """Return the path of one map for each body part with its own clips, plane and a colour for each action.

    Args:
        path: The picture to make or replace.
        embeddings: (N, D), of labelled clips.
        prototypes: (K, D).
        seen: bool (K,), which prototypes there are.
        ambiguity: Labels and kinds of the N clips.
        taxonomy: The action tree.
        title: The heading.
    """
    parents = taxonomy.parent_array
    columns = min(_PANEL_COLUMNS, taxonomy.num_body_parts)
    rows = math.ceil((taxonomy.num_body_parts + 1) / columns)
    figure = new_figure(8.5 * columns, 5.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for part, axes in enumerate(panels[: taxonomy.num_body_parts]):
        actions = np.flatnonzero(parents == part)
        axes.set_title(taxonomy.body_parts[part], fontsize=12, loc="left")
        handles = [_swatch(place, f"{i}  {shorten(taxonomy.actions[i])}") for place, i in enumerate(actions)]
        axes.legend(handles=handles, **_LEGEND)
        chosen = parents[ambiguity.labels] == part
        if not chosen.any():
            axes.text(0.5, 0.5, "no clips", ha="center", transform=axes.transAxes, fontsize=11, color=INK)
            axes.set(xticks=[], yticks=[])
            continue
        inside = Ambiguity(ambiguity.labels[chosen], ambiguity.claimed[chosen], ambiguity.body_right[chosen])
        place = np.full(len(parents), -1)
        place[actions] = np.arange(len(actions))
        projection = project(embeddings[chosen], prototypes, seen & (parents == part))
        _draw(axes, projection, place[inside.labels], place, inside)
    for axes in panels[taxonomy.num_body_parts :]:
        axes.axis("off")
    panels[taxonomy.num_body_parts].legend(handles=_marks(ambiguity, seen), **{**_LEGEND, "bbox_to_anchor": (0, 1)})
    figure.suptitle(title, fontsize=14, x=0.01, ha="left")
    return save(figure, path)


_LEGEND: dict[str, Any] = {
    "loc": "upper left",
    "bbox_to_anchor": (1.01, 1),
    "fontsize": 9.5,
    "frameon": False,
    "borderaxespad": 0,
}


def _draw(
    axes: "Axes",
    projection: Projection,
    clip_groups: npt.NDArray[Any],
    action_groups: npt.NDArray[Any],
    ambiguity: Ambiguity,
) -> None:
    """Draw clips and prototypes; groups choose the colours, of the N clips and of the K actions."""
    colours = np.asarray([group_colour(group) for group in clip_groups.tolist()])
    clear = ambiguity.clear
    across, up = projection.clips.T
    fade = _fade(clear)
    axes.scatter(across[clear], up[clear], s=15 * fade, c=colours[clear], alpha=fade, linewidths=0)
    # Faded by their own number: few ambiguous clips stand out from many clear ones.
    fade = _fade(~clear)
    look: dict[str, Any] = {"s": 34 * fade, "alpha": fade, "linewidths": 0.5, "edgecolors": "black"}
    for kind, chosen in ambiguity.missed.items():
        axes.scatter(across[chosen], up[chosen], c=colours[chosen], marker=_MARKS[kind], **look)
    for action in np.flatnonzero(np.isfinite(projection.prototypes[:, 0])).tolist():
        edge = group_colour(int(action_groups[action]))
        bubble = {"boxstyle": "circle,pad=0.18", "facecolor": "white", "edgecolor": edge, "linewidth": 2.2}
        x, y = projection.prototypes[action].tolist()
        axes.text(x, y, str(action), ha="center", va="center", fontsize=8.5, color="black", bbox=bubble, zorder=5)
    axes.set_xlabel(f"first principal component ({projection.shares[0]:.0%} of the variance)", fontsize=9.5)
    axes.set_ylabel(f"second ({projection.shares[1]:.0%})", fontsize=9.5)
    placed = np.concatenate([projection.clips, projection.prototypes[np.isfinite(projection.prototypes[:, 0])]])
    low, high = placed.min(axis=0), placed.max(axis=0)
    half = max(float((high - low).max()), 1e-3) * 0.54
    x, y = ((low + high) / 2).tolist()
    axes.set_xlim(x - half, x + half)
    axes.set_ylim(y - half, y + half)
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    axes.tick_params(labelsize=8)
    axes.grid(color="#EEEEEE", linewidth=0.6)
    axes.set_axisbelow(True)


def _fade(chosen: BoolArray) -> float:
    """How opaque and large so many marks may be without hiding each other, in [0.25, 0.9]."""
    return float(np.clip(30 / math.sqrt(max(int(chosen.sum()), 1)), 0.25, 0.9))


def _swatch(group: int, name: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=group_colour(group), label=name)


def _marks(ambiguity: Ambiguity, seen: BoolArray) -> Sequence[Any]:
    """The legend of the marks, with how many clips each has."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "", "markeredgecolor": INK}
    dot: dict[str, Any] = {"marker": "o", "markersize": 4, "color": INK}
    handles = [Line2D([], [], label=f"both right ({ambiguity.clear.sum():,} clips)", **dot, **look)]
    for kind, chosen in ambiguity.missed.items():
        label = f"{kind}{'' if kind == 'FN2' else ' and FP'}: {MISSED[kind]} ({chosen.sum():,})"
        handles.append(Line2D([], [], label=label, marker=_MARKS[kind], markersize=6.5, color="white", **look))
    if seen.any():
        bubble: dict[str, Any] = {"marker": "o", "markersize": 11, "markeredgewidth": 2, "color": "white"}
        handles.append(Line2D([], [], label="prototype, action id", **bubble, **look))
    return handles
