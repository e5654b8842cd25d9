"""What the command `evaluate` shows: tables of metrics, and all numbers as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from pcan_pose.fusion_settings import FusionSettings
    from pcan_pose.level_metrics import LevelMetrics
    from pcan_pose.metrics import Metrics
    from pcan_pose.scores import ScoreSet
    from pcan_pose.significance import Comparison
    from pcan_pose.taxonomy import Taxonomy

    Intervals = Sequence[Mapping[str, tuple[float, float]]]

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


def print_intervals(console: "Console", names: Sequence[str], intervals: "Intervals", resamples: int) -> None:
    """Print the bootstrap intervals of each row, a line for each level, in per cent."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"95 % intervals of {resamples:,} resamples of the clips (per cent)"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("scores", overflow="fold")
    table.add_column("level")
    for heading in ("top-1", "top-5", "F1 macro", "F1 micro", "F1_mean"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, of in zip(names, intervals, strict=True):
        body, action = ([_span(of[f"{level}_{number}"]) for number in _NUMBERS] for level in _LEVELS)
        table.add_row(Text(name), "body", *body, "")
        table.add_row("", "action", *action, _span(of["f1_mean"]))
    console.print(table)


def print_fusion(console: "Console", settings: "FusionSettings", names: Sequence[str]) -> None:
    """Print the fitted weights and temperatures, and what they changed where they were fitted."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    fitted = settings.fitted
    title = f"fusion of {settings.space}, fitted on {fitted['clips']:,} clips"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("scores", overflow="fold")
    for level in _LEVELS:
        for heading in ("weight", "temperature"):
            table.add_column(f"{level}\n{heading}", justify="right", no_wrap=True)
    levels = [getattr(settings, level) for level in _LEVELS]
    for i, name in enumerate(names):
        cells = [f"{number:.3f}" for of in levels for number in (of.shares[i], of.temperatures[i])]
        table.add_row(Text(name), *cells)
    console.print(table)
    for name, loss in fitted["nll"].items():
        what = name.replace("_", " ")
        console.print(
            Text(f"NLL of the labels there, {what}: {loss['equal']:.4f} before, {loss['fitted']:.4f} fitted.")
        )
    if settings.body_weight:
        console.print(Text(f"body weight: {settings.body_weight:.3f}"))
    if fitted.get("same_clips"):
        console.print(Text(f"{fitted['same_clips']:,} of these clips are measured as well: the numbers are too good."))


def print_comparison(
    console: "Console", names: Sequence[str], results: "Sequence[Metrics]", comparison: "Comparison"
) -> None:
    """Print two systems side by side, with the intervals of their differences and the tests."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"{names[0]} against {names[1]}, on the same {comparison.clips:,} clips (per cent)"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("metric")
    for heading in ("this", "other", "difference", "95 % interval", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    own, other = (result.summary() for result in results)
    for name, difference in comparison.differences.items():
        p = comparison.p_values.get(name)
        cells = [_per_cent(own[name]), _per_cent(other[name]), f"{100 * difference:+.2f}"]
        table.add_row(name, *cells, _span(comparison.intervals[name]), "" if p is None else f"{p:.2g}")
    console.print(table)
    for level, (only_own, only_other) in comparison.discordant.items():
        text = f"{level} top-1: {only_own:,} clips are right in the first only, {only_other:,} in the second only."
        console.print(Text(text))
    console.print(Text("p: exact McNemar test of top-1, paired bootstrap of F1_mean; two-sided."))


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


def to_json(
    rows: "Sequence[tuple[str, ScoreSet]]",
    results: "Sequence[Metrics]",
    taxonomy: "Taxonomy",
    *,
    intervals: "Intervals",
    settings: "FusionSettings",
    left_out: Mapping[str, Sequence[str]],
    comparison: "tuple[Sequence[Metrics], Comparison] | None",
) -> str:
    """Return all numbers as JSON: fractions in [0, 1], the confusion's rows are labels."""
    fusion = asdict(settings)
    del fusion["taxonomy"]  # that of the whole report
    content = {
        "schema_version": 1,
        "taxonomy": taxonomy.to_dict(),
        "fusion": fusion,
        "left_out": dict(left_out),
        "comparison": _comparison(*comparison) if comparison else None,
        "rows": [
            {
                "scores": name,
                "stream": scores.stream,
                "model": scores.model,
                "extra": dict(scores.extra),
                "clips": result.clips,
                "dropped": result.dropped,
                "metrics": result.summary(),
                "intervals": intervals[i] if intervals else None,
                "classes": {level: _class_rows(getattr(result, level)) for level in _LEVELS},
                "confusion": {level: getattr(result, level).confusion.tolist() for level in _LEVELS},
            }
            for i, ((name, scores), result) in enumerate(zip(rows, results, strict=True))
        ],
    }
    return json.dumps(content, ensure_ascii=False)


def _comparison(results: "Sequence[Metrics]", comparison: "Comparison") -> dict[str, Any]:
    return {**asdict(comparison), "metrics": [result.summary() for result in results]}


def _span(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"


def _per_cent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
