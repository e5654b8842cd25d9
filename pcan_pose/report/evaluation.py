"""Pictures of a result: confusion at both levels and the F1 of each class.

Shapes: K classes of one level.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pcan_pose.level_metrics import ClassTable, IntArray
from pcan_pose.metrics import Metrics
from pcan_pose.report.drawing import (
    ABSENT,
    COLOURS,
    FEW_CLASSES,
    INK,
    action_names,
    mark_groups,
    name_note,
    new_figure,
    open_frame,
    save,
    shorten,
)
from pcan_pose.taxonomy import Taxonomy


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
    actions = action_names(taxonomy)
    return [
        plot_confusion(
            folder / "confusion_body.png",
            metrics.body.confusion,
            [shorten(name) for name in groups],
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
    few = num_classes <= FEW_CLASSES
    side = 3.0 + num_classes * (0.75 if few else 0.235)
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    from matplotlib import colormaps

    axes.imshow(shares, cmap=colormaps["Blues"].with_extremes(bad=ABSENT), vmin=0, vmax=1)
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
        colour = "white" if share > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=size - (0 if few else 1.5), color=colour)
    axes.set_xticks(np.arange(1, num_classes) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, num_classes) - 0.5, minor=True)
    axes.grid(which="minor", color="#F0F0F0", linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    if parents is not None:
        mark_groups(axes, parents, groups, size + 1)
    axes.set_title(title, fontsize=size + (4 if few else 6), loc="left", pad=12)
    return save(figure, path)


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
    figure = new_figure(11, 2.0 + 0.225 * num_classes)
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
            color=INK if present else "#7A7A7A",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )
    if table.present.any():
        macro = float(table.f1[table.present].mean())
        axes.axvline(macro, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"macro F1 {macro:.2%}",
            (macro, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=INK,
        )
    axes.set_yticks(places, names, fontsize=8.5)
    axes.set_ylim(num_classes - 0.4, -0.6)
    axes.set_xlim(0, 1.13)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("F1" + (f"\n{note}" if note else ""), fontsize=10)
    axes.tick_params(axis="y", length=0)
    open_frame(axes)
    if parents is not None:
        mark_groups(axes, parents, groups, 9, across=False)
    axes.set_title(title, fontsize=12, loc="left", pad=20)
    return save(figure, path)
