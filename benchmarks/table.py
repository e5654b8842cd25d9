"""Results as a Markdown table: mean and standard deviation over the seeds, and how many there are."""

import statistics
from collections.abc import Sequence

from benchmarks.measure import threads_text
from benchmarks.results_file import Entry
from benchmarks.rows import Column


def markdown(entries: Sequence[Entry], rows: Sequence[str], columns: Sequence[Column]) -> str:
    """Return the table, and under it what it was measured with and which rows are still to be measured.

    A cell says how many seeds it has where that is not what the row's last cell says.

    Args:
        entries: The results; those of other rows are left out.
        rows: Names of the rows, in order.
        columns: The columns.
    """
    lines = ["| row | " + " | ".join(column.title for column in columns) + " | n |"]
    lines.append("| --- " * (len(columns) + 2) + "|")
    measured = {entry["row"] for entry in entries}
    for row in (row for row in rows if row in measured):
        own = [entry for entry in entries if entry["row"] == row]
        seeds = sum(entry.get("protocol", "") == "" for entry in own)
        lines.append(f"| {row} | " + " | ".join(_cell(own, column, seeds) for column in columns) + f" | {seeds} |")
    shown = [entry for entry in entries if entry["row"] in rows]
    note = f"{'; '.join(['Mean ± standard deviation over n seeds', *_machines(shown)])}."
    if missing := [row for row in rows if row not in measured]:
        note += f" Not measured yet: {'; '.join(missing)}."
    return "\n".join([*lines, "", note])


def values_of(entries: Sequence[Entry], column: Column) -> list[float]:
    """Return a column's numbers over the seeds, scaled."""
    chosen = [entry for entry in entries if entry.get("protocol", "") == column.protocol]
    return [column.scale * float(entry[column.number]) for entry in chosen if entry.get(column.number) is not None]


def _machines(entries: Sequence[Entry]) -> list[str]:
    """Return what the entries were measured on; whatever is not the most frequent says which rows and seeds it has."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        words = [
            *([str(entry["device"])] if "device" in entry else []),
            *([threads_text(entry["threads"])] if entry.get("threads") else []),
            *([str(entry["precision"])] if "precision" in entry else []),
            f"torch {entry.get('torch', 'unknown')}",
        ]
        groups.setdefault(", ".join(words), []).append(entry)
    most, *others = sorted(groups, key=lambda machine: -len(groups[machine])) or [""]
    return [*([most] if most else []), *(f"{machine} ({_runs(groups[machine])})" for machine in others)]


def _runs(entries: Sequence[Entry]) -> str:
    """Return which rows, protocols and seeds the entries are of; rows that have the same are named together."""
    rows: dict[str, dict[str, list[int]]] = {}
    for entry in entries:
        rows.setdefault(entry["row"], {}).setdefault(entry.get("protocol", ""), []).append(entry["seed"])
    alike: dict[str, list[str]] = {}
    for row, protocols in rows.items():
        seeds = [f"{name} seed {', '.join(map(str, sorted(protocols[name])))}".strip() for name in sorted(protocols)]
        alike.setdefault(" and ".join(seeds), []).append(row)
    return "; ".join(f"{', '.join(f'`{row}`' for row in names)}: {seeds}" for seeds, names in alike.items())


def _cell(entries: Sequence[Entry], column: Column, seeds: int) -> str:
    values = values_of(entries, column)
    if not values:
        return "-"
    text = f"{statistics.mean(values):.{column.digits}f}"
    if column.spread and len(values) > 1:
        text += f" ± {statistics.stdev(values):.{column.digits}f}"
    return text if len(values) == seeds else f"{text} (n = {len(values)})"
