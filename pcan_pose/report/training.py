"""The curves of a training run. Colours are names; lines also differ by dash and marker."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcan_pose.errors import DataError
from pcan_pose.report.drawing import COLOURS, new_figure, open_frame, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX*"
_NOT_VALUES = frozenset({"epoch", "step", "split"})
_NO_LOSSES = frozenset({"lr", "seconds"})
_ACCURACY_WORDS = ("top1", "top5", "f1", "accuracy")


def plot_training(path: str | Path, rows: Sequence[Mapping[str, Any]], title: str = "") -> Path:
    """Return the path of a run's curves by epoch: loss terms beside accuracies and F1.

    A value is an accuracy if its name holds "top1", "top5", "f1" or "accuracy", and a loss term if it stands in a row
    with a "loss"; others (learning rate, seconds) are not drawn. Colours are names, dashes are splits. Where a name and
    split have several rows in an epoch, their mean is drawn.

    Args:
        path: the picture to make or replace.
        rows: the lines of metrics.jsonl, each with `epoch`, perhaps `split`, and numbers by name.
        title: the heading.

    Raises:
        DataError: no row holds an epoch and a loss or an accuracy.
    """
    series = _series(rows)
    accuracies = {key: line for key, line in series.items() if any(word in key[0] for word in _ACCURACY_WORDS)}
    terms = {name for row in rows if "loss" in row for name in row} - _NO_LOSSES
    panels = {
        "loss": {key: line for key, line in series.items() if key[0] in terms and key not in accuracies},
        "accuracy and F1": accuracies,
    }
    drawn = {heading: lines for heading, lines in panels.items() if lines}
    if not drawn:
        raise DataError(
            f"nothing to draw in {len(rows)} rows: expected rows with 'epoch' and a 'loss', or numbers whose names "
            f"hold {', '.join(map(repr, _ACCURACY_WORDS))}."
        )
    splits = list(dict.fromkeys(split for _, split in series))
    figure = new_figure(7.5 * len(drawn), 4.8)
    panes = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, (heading, lines) in zip(panes, drawn.items(), strict=True):
        _draw_curves(axes, lines, splits)
        axes.set_title(heading, fontsize=11, loc="left")
        if heading != "loss":
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if title:
        figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return save(figure, path)


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
    open_frame(axes)
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8.5, frameon=False, borderaxespad=0, handlelength=3.4
    )
