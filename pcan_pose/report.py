"""Pictures of a result: confusion at both levels, F1 of each class, the curves of a training run.

matplotlib is imported when the first picture is made, draws without a display and leaves pyplot's state alone. The
suffix of the path chooses the format (.png, .pdf, .svg). Colours are Okabe and Ito's, told apart by every kind of
colour vision; lines also differ by dash and marker.

Shapes: K classes of one level.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError
from pcan_pose.metrics import ClassTable, IntArray, Metrics
from pcan_pose.taxonomy import MA52, Taxonomy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#000000", "#B8A800")
_MARKERS = "osD^vPX*"
_INK = "#333333"
_ABSENT = "#E4E4E4"
_FEW_CLASSES = 15
_LONGEST_NAME = 34
_DPI = 120
_NOT_VALUES = frozenset({"epoch", "step", "split"})
_ACCURACY_WORDS = ("top1", "top5", "f1", "accuracy")


def name_note(taxonomy: Taxonomy) -> str:
    """Return what a reader of the class names has to know; empty where there is nothing.

    Args:
        taxonomy: whose names are shown.
    """
    if taxonomy != MA52:
        return ""
    return "The names of ids 3 and 4 look swapped in MA-52's published list; no metric depends on it."


def plot_evaluation(folder: str | Path, metrics: Metrics, taxonomy: Taxonomy, title: str = "") -> list[Path]:
    """Return the paths of the pictures of one result: both confusion matrices and the F1 of every action.

    Args:
        folder: where they go; made if need be.
        metrics: the result.
        taxonomy: names and tree of the classes.
        title: what was measured, put above each picture.
    """
    folder = Path(folder)
    parents, groups = taxonomy.parent_array, taxonomy.body_parts
    lead = f"{title}\n" if title else ""
    actions = [f"{name}  {i}" for i, name in enumerate(map(_shorten, taxonomy.actions))]
    return [
        plot_confusion(
            folder / "confusion_body.png",
            metrics.body.confusion,
            [_shorten(name) for name in groups],
            title=f"{lead}Body parts: top-1 {metrics.body.top1:.2%}, macro F1 {metrics.body.f1_macro:.2%}",
        ),
        plot_confusion(
            folder / "confusion_action.png",
            metrics.action.confusion,
            actions,
            parents=parents,
            groups=groups,
            note=name_note(taxonomy),
            title=f"{lead}Actions: top-1 {metrics.action.top1:.2%}, macro F1 {metrics.action.f1_macro:.2%}",
        ),
        plot_class_f1(
            folder / "f1_action.png",
            metrics.action.table,
            actions,
            parents=parents,
            groups=groups,
            note=name_note(taxonomy),
            title=f"{lead}F1 of each action, over {metrics.clips:,} clips",
        ),
    ]


def plot_confusion(
    path: str | Path,
    confusion: IntArray,
    names: Sequence[str],
    *,
    parents: IntArray | None = None,
    groups: Sequence[str] = (),
    title: str = "",
    note: str = "",
) -> Path:
    """Return the path of a confusion matrix, each row as per cent of its label's clips.

    Up to 15 classes every cell that holds clips says its share and count; with more, shares from 5 % are written.
    A row without clips is grey.

    Args:
        path: the picture to make or replace.
        confusion: (K, K) int64, rows are labels, columns predictions.
        names: K names.
        parents: (K,) int64, the group of each class; classes of one group are divided from the next by a line.
            Without it there are no groups.
        groups: names of the groups.
        title: the heading.
        note: what is written below.
    """
    num_classes = len(names)
    support = confusion.sum(axis=1, keepdims=True)
    shares = np.where(support > 0, confusion / np.maximum(support, 1), np.nan)
    few = num_classes <= _FEW_CLASSES
    side = 3.0 + num_classes * (0.75 if few else 0.235)
    figure = _figure(side, side)
    axes = figure.add_subplot()
    from matplotlib import colormaps

    axes.imshow(shares, cmap=colormaps["Blues"].with_extremes(bad=_ABSENT), vmin=0, vmax=1)
    size = 10.0 if few else 8.0
    ticks = range(num_classes)
    slanted = few and max(map(len, names), default=0) > 9
    axes.set_xticks(ticks, names, rotation=30 if slanted else (0 if few else 90), fontsize=size)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names, fontsize=size)
    axes.tick_params(length=0)
    legend = "cells: per cent of the label's clips" + ("; grey rows: no clips" if (support == 0).any() else "")
    axes.set_xlabel(f"predicted\n({legend})" + (f"\n{note}" if note else ""), fontsize=size + 3, labelpad=8)
    axes.set_ylabel("label", fontsize=size + 3, labelpad=8)
    for row, column in np.argwhere(confusion > 0 if few else np.nan_to_num(shares) >= 0.05).tolist():
        share = shares[row, column]
        text = f"{share:.0%}\n{confusion[row, column]:,}" if few else f"{100 * share:.0f}"
        colour = "white" if share > 0.55 else _INK
        axes.text(column, row, text, ha="center", va="center", fontsize=size - (0 if few else 1.5), color=colour)
    axes.set_xticks(np.arange(1, num_classes) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, num_classes) - 0.5, minor=True)
    axes.grid(which="minor", color="#F0F0F0", linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    if parents is not None:
        _mark_groups(axes, parents, groups, size + 1)
    axes.set_title(title, fontsize=size + (4 if few else 6), loc="left", pad=12)
    return _save(figure, path)


def plot_class_f1(
    path: str | Path,
    table: ClassTable,
    names: Sequence[str],
    *,
    parents: IntArray | None = None,
    groups: Sequence[str] = (),
    title: str = "",
    note: str = "",
) -> Path:
    """Return the path of a bar chart: the F1 of each class with its number of clips, and the macro mean as a line.

    Args:
        path: the picture to make or replace.
        table: the metrics of K classes.
        names: K names.
        parents: (K,) int64, the group of each class, shown as the colour and beside the bars; None for no groups.
        groups: names of the groups.
        title: the heading.
        note: what is written below.
    """
    num_classes = len(names)
    figure = _figure(11, 2.0 + 0.225 * num_classes)
    axes = figure.add_subplot()
    places = np.arange(num_classes)
    group = np.zeros(num_classes, np.int64) if parents is None else parents
    axes.barh(places, table.f1, height=0.78, color=[COLOURS[i % len(COLOURS)] for i in group.tolist()])
    for place, (f1, support, present) in enumerate(zip(table.f1, table.support, table.present, strict=True)):
        axes.text(
            f1 + 0.006,
            place,
            f"{100 * f1:.0f}   n = {support:,}" if present else "no clips, never predicted",
            va="center",
            fontsize=8,
            color=_INK if present else "#7A7A7A",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    if table.present.any():
        macro = float(table.f1[table.present].mean())
        axes.axvline(macro, color=_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"macro F1 {macro:.2%}",
            (macro, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=_INK,
        )
    axes.set_yticks(places, names, fontsize=8.5)
    axes.set_ylim(num_classes - 0.4, -0.6)
    axes.set_xlim(0, 1.13)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("F1" + (f"\n{note}" if note else ""), fontsize=10)
    axes.tick_params(axis="y", length=0)
    _open_frame(axes)
    if parents is not None:
        _mark_groups(axes, parents, groups, 9, across=False)
    axes.set_title(title, fontsize=12, loc="left", pad=20)
    return _save(figure, path)


def plot_training(path: str | Path, rows: Sequence[Mapping[str, Any]], title: str = "") -> Path:
    """Return the path of a run's curves by epoch: loss terms beside accuracies and F1.

    A value is a loss if its name holds "loss", an accuracy if it holds "top1", "top5", "f1" or "accuracy"; others
    (learning rate, seconds) are not drawn. Colours are names, dashes are splits. Where a name and split have several
    rows in an epoch, their mean is drawn.

    Args:
        path: the picture to make or replace.
        rows: the lines of metrics.jsonl, each with `epoch`, perhaps `split`, and numbers by name.
        title: the heading.

    Raises:
        DataError: no row holds an epoch and a loss or an accuracy.
    """
    series = _series(rows)
    panels = {
        "loss": {key: line for key, line in series.items() if "loss" in key[0]},
        "accuracy and F1": {
            key: line
            for key, line in series.items()
            if "loss" not in key[0] and any(word in key[0] for word in _ACCURACY_WORDS)
        },
    }
    drawn = {heading: lines for heading, lines in panels.items() if lines}
    if not drawn:
        raise DataError(
            f"nothing to draw in {len(rows)} rows: expected rows with 'epoch' and numbers whose names hold 'loss', "
            f"{', '.join(map(repr, _ACCURACY_WORDS))}."
        )
    splits = list(dict.fromkeys(split for _, split in series))
    figure = _figure(7.5 * len(drawn), 4.8)
    panes = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, (heading, lines) in zip(panes, drawn.items(), strict=True):
        _draw_curves(axes, lines, splits)
        axes.set_title(heading, fontsize=11, loc="left")
        if heading != "loss":
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return _save(figure, path)


def _series(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """(name, split) -> epochs and values, in the order of the epochs."""
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for row in rows:
        if "epoch" not in row:
            continue
        for name, value in row.items():
            if name in _NOT_VALUES or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            by_epoch = found.setdefault((name, str(row.get("split", ""))), {})
            by_epoch.setdefault(float(row["epoch"]), []).append(float(value))
    return {
        key: (sorted(by_epoch), [math.fsum(by_epoch[epoch]) / len(by_epoch[epoch]) for epoch in sorted(by_epoch)])
        for key, by_epoch in found.items()
    }


def _draw_curves(
    axes: "Axes", lines: Mapping[tuple[str, str], tuple[list[float], list[float]]], splits: Sequence[str]
) -> None:
    from matplotlib.ticker import MaxNLocator

    names = list(dict.fromkeys(name for name, _ in lines))
    dashes: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1))]
    for (name, split), (epochs, values) in lines.items():
        rank = names.index(name)
        axes.plot(
            epochs,
            values,
            color=COLOURS[rank % len(COLOURS)],
            linestyle=dashes[splits.index(split) % len(dashes)],
            marker=_MARKERS[rank % len(_MARKERS)],
            markersize=4,
            markevery=max(1, len(epochs) // 8),
            linewidth=1.6,
            label=f"{name} ({split})" if split else name,
        )
    positive = [value for _, values in lines.values() for value in values if math.isfinite(value)]
    if positive and min(positive) > 0 and max(positive) / min(positive) > 100:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=10)
    axes.grid(color="#E8E8E8", linewidth=0.6)
    _open_frame(axes)
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8.5, frameon=False, borderaxespad=0, handlelength=3.4
    )


def _mark_groups(axes: "Axes", parents: IntArray, groups: Sequence[str], size: float, *, across: bool = True) -> None:
    """Lines between the groups of neighbouring classes, and their names on the right.

    Args:
        axes: where the classes are rows, and columns too if `across`.
        parents: (K,) int64, the group of each class.
        groups: names of the groups.
        size: of the letters, in points.
        across: whether columns are divided as well.
    """
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    ends = np.append(starts[1:], len(parents))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if start:
            axes.axhline(start - 0.5, color="#555555", linewidth=0.9)
            if across:
                axes.axvline(start - 0.5, color="#555555", linewidth=0.9)
        axes.annotate(
            _shorten(groups[parents[start]]),
            (1, (start + end - 1) / 2),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
            color=_INK,
        )


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", path: str | Path) -> Path:
    path = Path(path)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    return path


def _open_frame(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
