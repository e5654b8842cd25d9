"""What all pictures share: colours, the figure, how it is saved, and lines between groups of classes.

matplotlib is imported when the first picture is made, draws without a display and leaves pyplot's state alone. The
suffix of the path chooses the format (.png, .pdf, .svg). Colours are Okabe and Ito's, told apart by every kind of
colour vision.

Shapes: K classes of one level.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcan_pose.atomic import atomic_write
from pcan_pose.level_metrics import IntArray
from pcan_pose.taxonomy import MA52, Taxonomy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#000000", "#B8A800")
INK = "#333333"
ABSENT = "#E4E4E4"
FEW_CLASSES = 15
LONGEST_NAME = 34
_DPI = 120
_MISSING_LETTER = re.compile(r"Glyph (\d+) .*missing from")
_log = logging.getLogger(__name__)
_told: set[str] = set()  # letters that were warned of


def name_note(taxonomy: Taxonomy) -> str:
    """Return what a reader of the class names has to know; empty where there is nothing.

    Args:
        taxonomy: whose names are shown.
    """
    if taxonomy != MA52:
        return ""
    return "The names of ids 3 and 4 look swapped in MA-52's published list; no metric depends on it."


def mark_groups(axes: "Axes", parents: IntArray, groups: Sequence[str], size: float, *, across: bool = True) -> None:
    """Draw lines between the groups of neighbouring classes, and their names on the right.

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
            shorten(groups[parents[start]]),
            (1, (start + end - 1) / 2),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
            color=INK,
        )


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure that needs no display.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: "Figure", path: str | Path) -> Path:
    """Write the figure whole or not at all and return its path; its text is drawn as it is, dollars too."""
    from matplotlib.text import Text

    path = Path(path)
    for text in figure.findobj(Text):
        # A logarithmic axis has no labels yet: they are matplotlib's own formulas and are to be read as such.
        if isinstance(text, Text) and "$" in text.get_text():
            text.set_parse_math(False)
    with atomic_write(path) as temporary, _missing_letters():
        figure.savefig(temporary, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    return path


@contextmanager
def _missing_letters() -> Iterator[None]:
    """Return a context in which letters that the font lacks are one warning, not one for each place and picture."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    missing: list[str] = []
    for warning in caught:
        if match := _MISSING_LETTER.match(str(warning.message)):
            missing.append(chr(int(match[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if new := [letter for letter in dict.fromkeys(missing) if letter not in _told]:
        _told.update(new)
        _log.warning("pictures: the font lacks %s, which are drawn as boxes.", " ".join(new))


def group_colour(group: int) -> str:
    """Return a colour for each of many groups: Okabe and Ito's first, then the same at half the brightness."""
    colour = COLOURS[group % len(COLOURS)]
    if group // len(COLOURS) % 2 == 0:
        return colour
    return "#" + "".join(f"{int(colour[i : i + 2], 16) // 2:02X}" for i in (1, 3, 5))


def open_frame(axes: "Axes") -> None:
    """Remove the frame's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)


def shorten(name: str, longest: int = LONGEST_NAME) -> str:
    """Return the name, cut to so many letters."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def action_names(taxonomy: Taxonomy) -> list[str]:
    """Return each action's name, cut to fit beside an axis, with its id."""
    return [f"{shorten(name)}  {i}" for i, name in enumerate(taxonomy.actions)]
