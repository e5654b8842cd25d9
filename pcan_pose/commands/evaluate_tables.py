"""What the command `evaluate` shows: tables of metrics, and all numbers as JSON."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from pcan_pose.metrics import LevelMetrics, Metrics
    from pcan_pose.scores import ScoreSet
    from pcan_pose.taxonomy import Taxonomy

_LEVELS = ("body", "action")
_NUMBERS = ("top1", "top5", "f1_macro", "f1_micro")


def print_table(console: "Console", names: Sequence[str], results: "Sequence[Metrics]", taxonomy: "Taxonomy") -> None:
    """Print one line of metrics for each row, in per cent."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"{taxonomy.name}: {taxonomy.num_body_parts} body parts, {taxonomy.num_actions} actions (per cent)"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("scores", overflow="fold")
    table.add_column("clips", justify="right")
    for level in _LEVELS:
        for heading in ("top-1", "top-5", "F1\nmacro", "F1\nmicro"):
            table.add_column(f"{level}\n{heading}", justify="right", no_wrap=True)
    table.add_column("F1_mean", justify="right", no_wrap=True)
    for name, result in zip(names, results, strict=True):
        cells = [_per_cent(result.summary()[f"{level}_{number}"]) for level in _LEVELS for number in _NUMBERS]
        table.add_row(Text(name), f"{result.clips:,}", *cells, _per_cent(result.f1_mean))
    console.print(table)
    for name, result in zip(names, results, strict=True):
        if result.dropped:
            console.print(Text(f"{name}: {result.dropped:,} clips without a label left out."))


def print_classes(console: "Console", name: str, result: "Metrics", taxonomy: "Taxonomy") -> None:
    """Print precision, recall and F1 of each class of both levels."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from pcan_pose.report import name_note

    for level, of, class_names in (
        ("body part", result.body, taxonomy.body_parts),
        ("action", result.action, taxonomy.actions),
    ):
        table = Table(title=Text(f"{name}: each {level} (per cent)"), box=box.SIMPLE_HEAD, title_justify="left")
        table.add_column("id", justify="right")
        table.add_column(level)
        for heading in ("precision", "recall", "F1", "clips", "predicted"):
            table.add_column(heading, justify="right", no_wrap=True)
        for i, (class_name, row) in enumerate(zip(class_names, _class_rows(of), strict=True)):
            shares = [_per_cent(row[key] if of.table.present[i] else None) for key in ("precision", "recall", "f1")]
            table.add_row(str(i), Text(class_name), *shares, f"{row['support']:,}", f"{row['predicted']:,}")
        console.print(table)
    if note := name_note(taxonomy):
        console.print(Text(note))


def _class_rows(level: "LevelMetrics") -> list[dict[str, Any]]:
    table = level.table
    columns = {name: getattr(table, name).tolist() for name in ("precision", "recall", "f1", "support", "predicted")}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def to_json(rows: "Sequence[tuple[str, ScoreSet]]", results: "Sequence[Metrics]", taxonomy: "Taxonomy") -> str:
    """Return all numbers as JSON: fractions in [0, 1], the confusion's rows are labels."""
    content = {
        "schema_version": 1,
        "taxonomy": taxonomy.to_dict(),
        "rows": [
            {
                "scores": name,
                "stream": scores.stream,
                "model": scores.model,
                "extra": dict(scores.extra),
                "clips": result.clips,
                "dropped": result.dropped,
                "metrics": result.summary(),
                "classes": {level: _class_rows(getattr(result, level)) for level in _LEVELS},
                "confusion": {level: getattr(result, level).confusion.tolist() for level in _LEVELS},
            }
            for (name, scores), result in zip(rows, results, strict=True)
        ],
    }
    return json.dumps(content, ensure_ascii=False)


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
