"""The picture of a set's keypoint quality.

Shapes: V joints.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pcan_pose.report.drawing import ABSENT, COLOURS, INK, new_figure, open_frame, save
from pcan_pose.report.keypoint_quality import GAPS, SURE, KeypointQuality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_REGIONS = ("body", "hands", "face")
_LEAST_JITTER = 1e-5


def plot_keypoint_quality(path: str | Path, quality: KeypointQuality, title: str = "") -> Path:
    """Return the path of the picture: missing frames by gap above, detection rate and jitter of each joint below.

    Args:
        path: The picture to make or replace.
        quality: What was measured.
        title: The heading.
    """
    joints = quality.skeleton.joints
    height = 1.2 + 0.225 * len(joints)
    figure = new_figure(12, 3.3 + height)
    grid = figure.add_gridspec(2, 2, height_ratios=(2.6, height), width_ratios=(1.15, 1))
    faces = np.array([joint.startswith("face_") for joint in joints])
    regions = np.select([quality.skeleton.hands, faces], [1, 2], 0)  # positions in `_REGIONS`
    _draw_gaps(figure.add_subplot(grid[0, :]), quality, regions)
    rates = figure.add_subplot(grid[1, 0])
    _draw_rates(rates, quality, regions)
    _draw_jitter(figure.add_subplot(grid[1, 1], sharey=rates), quality, regions)
    clips = "1 clip" if quality.clips == 1 else f"{quality.clips:,} clips"
    facts = f"{clips}, {quality.rows:,} frames of a person, {quality.estimator}"
    figure.suptitle(f"{title}\n{facts}" if title else facts, fontsize=12, x=0.01, ha="left")
    return save(figure, path)


def _draw_gaps(axes: "Axes", quality: KeypointQuality, regions: npt.NDArray[np.int64]) -> None:
    total = quality.rows * len(regions)
    places = np.arange(len(GAPS))
    base = np.zeros(len(GAPS))
    for region in np.unique(regions).tolist():
        share = quality.missing[regions == region].sum(0) / total
        axes.bar(places, share, bottom=base, width=0.72, color=COLOURS[region], label=_REGIONS[region])
        base += share
    for place, share in enumerate(base.tolist()):
        axes.annotate(
            _percent(share),
            (place, share),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=INK,
        )
    axes.set_xticks(places, GAPS, fontsize=9)
    axes.set_xlabel("frames of the gap; at an end: before a joint's first or after its last sight", fontsize=10)
    axes.set_ylim(0, max(1.18 * base.max(), 0.01))
    axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
    axes.tick_params(axis="x", length=0)
    axes.set_title(
        f"Missing: {_percent(base.sum())} of all joints in all frames, by the length of the gap",
        fontsize=11,
        loc="left",
    )
    if len(np.unique(regions)) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=9, frameon=False, borderaxespad=0)
    open_frame(axes)


def _draw_rates(axes: "Axes", quality: KeypointQuality, regions: npt.NDArray[np.int64]) -> None:
    joints = quality.skeleton.joints
    places = np.arange(len(joints))
    found, sure = quality.found / quality.rows, quality.sure / quality.rows
    colours = [COLOURS[region] for region in regions.tolist()]
    axes.barh(places, 1, height=0.78, color=ABSENT, alpha=0.5)
    axes.barh(places, found, height=0.78, color=colours, alpha=0.4)
    axes.barh(places, sure, height=0.78, color=colours)
    for place, (rate, sure_rate) in enumerate(zip(found.tolist(), sure.tolist(), strict=True)):
        text = _percent(rate) if rate == sure_rate else f"{_percent(sure_rate)}, pale {_percent(rate)}"
        axes.text(1.01, place, text, va="center", fontsize=8, color=INK)
    axes.set_yticks(places, joints, fontsize=8.5)
    axes.set_ylim(len(joints) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("frames", fontsize=10)
    axes.set_title(f"Detection rate: full colour from score {SURE:g}, pale any score above 0", fontsize=11, loc="left")
    open_frame(axes)


def _draw_jitter(axes: "Axes", quality: KeypointQuality, regions: npt.NDArray[np.int64]) -> None:
    lower, median, upper = np.maximum(quality.jitter, _LEAST_JITTER)
    places = np.arange(len(regions))
    colours = [COLOURS[region] for region in regions.tolist()]
    axes.hlines(places, lower, upper, colors=colours, linewidth=1.8, alpha=0.5)
    axes.scatter(median, places, color=colours, s=26, zorder=3)
    across = axes.get_yaxis_transform()
    for place in np.flatnonzero(np.isnan(median)).tolist():
        text = "not in three frames in a row" if quality.found[place] else "never found"
        axes.text(0.01, place, text, transform=across, va="center", fontsize=8, color="#7A7A7A")
    axes.set_xscale("log")
    if np.isnan(median).all():
        axes.set_xlim(_LEAST_JITTER, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(axis="x", color="#E8E8E8", linewidth=0.6)
    axes.set_xlabel("of the body's size; point: median, line: quartiles", fontsize=10)
    axes.set_title("Jitter: second difference from frame to frame", fontsize=11, loc="left")
    open_frame(axes)


def _percent(share: float) -> str:
    """Return the share with one digit after the point where it is below a tenth; a small share is never 0 %."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"
