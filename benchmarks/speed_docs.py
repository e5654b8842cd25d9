"""The recorded speed as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.docs_page import fill
from benchmarks.measure import threads_text
from benchmarks.speed_file import Group
from benchmarks.speed_networks import BASELINE
from benchmarks.speed_timing import Figure

TITLES = {
    "encoders": "Encoders",
    "profile": "Where the time of a training step goes",
    "loader": "Loader",
    "losses": "Losses",
    "latency": "One clip",
    "start": "Start-up",
    "extraction": "Extraction",
}
_ENCODERS = (
    "encoder",
    "precision",
    "N",
    "T",
    "forward, clips/s",
    "×",
    "of GEMM, of copy",
    "training, clips/s",
    "×",
    "of GEMM, of copy",
    "memory, MB",
    "×",
)


def write_docs(page: Path, groups: Mapping[str, Group], device: str) -> None:
    """Write the tables of a device between its markers; the rest of the page stays.

    Raises:
        DataError: If the page does not have both markers, once and in order.
    """
    fill(page, f"speed {device}", markdown(groups))


def markdown(groups: Mapping[str, Group]) -> str:
    """Return a table for each group, what it was measured on, and what was left out."""
    parts = []
    for name, title in TITLES.items():
        if name not in groups:
            continue
        group = groups[name]
        table = _encoders(group.figures) if name == "encoders" else _plain(group.figures)
        parts += [f"### {title}", _conditions(group), table]
        if group.skipped:
            parts.append("Left out: " + "; ".join(group.skipped) + ".")
    return "\n\n".join(parts)


def _conditions(group: Group) -> str:
    said = group.conditions
    if all(figure.details.get("recorded") for figure in group.figures) and group.figures:
        machines = dict.fromkeys(str(figure.details["machine"]) for figure in group.figures)
        return f"As `python -m benchmarks.extract` recorded it, not run again: {', '.join(machines)}."
    text = (
        f"{said['machine']}, {said['cpus']} CPUs, {threads_text(said['threads'])}, torch {said['versions']['torch']}, "
        f"{said['rounds']} rounds, {said['date']}."
    )
    for threads, most in group.limits.items():
        gemm = ", ".join(f"{value:,.0f} GFLOP/s {precision}" for precision, value in most["gemm"].items())
        text += f" Limits with {threads_text(int(threads))}: matrix product {gemm}; copy {most['copy']:.1f} GB/s."
    if said["quick"]:
        text += " **Tiny sizes: these numbers say nothing.**"
    return text


def _encoders(figures: Sequence[Figure]) -> str:
    by_key = {figure.key: figure for figure in figures}
    lines = dict.fromkeys((figure.precision, figure.clips, figure.frames, figure.row) for figure in figures)
    rows = []
    for precision, clips, frames, row in lines:
        cells = [f"**{row}**" if row == BASELINE else row, precision, str(clips), str(frames)]
        for quantity in ("forward", "training"):
            cells += _speed(by_key.get((row, quantity, precision, clips, frames)))
        memory = by_key.get((row, "memory", precision, clips, frames))
        # Of memory less is better: the table says how much of the baseline's it takes.
        cells += ["-", "-"] if memory is None else [f"{memory.value:,.0f}", f"{1 / (memory.ratio or 1):.2f}"]
        rows.append(cells)
    return _table(_ENCODERS, rows)


def _speed(figure: Figure | None) -> list[str]:
    if figure is None:
        return ["-", "-", "-"]
    return [f"{figure.value:,.0f}", _number(figure.ratio), f"{_share(figure.gemm_share)}, {_share(figure.copy_share)}"]


def _plain(figures: Sequence[Figure]) -> str:
    rows = [
        [
            figure.name,
            f"{_digits(figure.value)} {figure.unit}",
            _number(figure.ratio),
            _share(figure.gemm_share),
            _share(figure.copy_share),
        ]
        for figure in figures
    ]
    titles = ["what", "value", "× baseline", "of GEMM", "of copy"]
    # A column without any number is not shown.
    kept = [i for i in range(len(titles)) if i < 2 or any(row[i] != "-" for row in rows)]
    return _table([titles[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (titles, *rows)]
    lines.insert(1, "| --- " * len(titles) + "|")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else _digits(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.{0 if value >= 0.1 else 1}f} %"


def _digits(value: float) -> str:
    """Return a number with about three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
