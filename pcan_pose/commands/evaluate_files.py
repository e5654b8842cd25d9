"""The files that the command `evaluate` writes, apart from score files."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcan_pose.metrics import Metrics
    from pcan_pose.taxonomy import Taxonomy


def write_files(
    json_file: str | None,
    report: str,
    plots: Path | None,
    confusion: Path | None,
    result: "Metrics",
    taxonomy: "Taxonomy",
    title: str,
) -> list[Path]:
    """Return the paths of the files that were asked for.

    Raises:
        DataError: a place that cannot be written.
    """
    from pcan_pose.atomic import atomic_write
    from pcan_pose.errors import DataError

    written: list[Path] = []
    place = json_file
    try:
        if json_file is not None and json_file != "-":
            with atomic_write(json_file) as temporary:
                temporary.write_text(report + "\n", encoding="utf-8")
            written.append(Path(json_file))
        if confusion is not None:
            place = str(confusion)
            with atomic_write(confusion) as temporary:
                _write_confusion(temporary, result, taxonomy)
            written.append(confusion)
        if plots is not None:
            from pcan_pose.report import plot_evaluation

            place = str(plots)
            written += plot_evaluation(plots, result, taxonomy, title)
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror or error}).") from error
    return written


def _write_confusion(path: Path, result: "Metrics", taxonomy: "Taxonomy") -> None:
    """Write both confusion matrices, a line for each pair of classes, so that any table program can turn them."""
    levels: Sequence[tuple[str, list[list[int]], tuple[str, ...]]] = (
        ("body", result.body.confusion.tolist(), taxonomy.body_parts),
        ("action", result.action.confusion.tolist(), taxonomy.actions),
    )
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["level", "label_id", "label", "predicted_id", "predicted", "clips"])
        for level, confusion, names in levels:
            for label, row in enumerate(confusion):
                writer.writerows(
                    [level, label, names[label], predicted, names[predicted], clips]
                    for predicted, clips in enumerate(row)
                )
