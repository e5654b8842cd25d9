"""The files that the command `evaluate` writes, apart from score files and fusion settings."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcan_pose.metrics import Metrics
    from pcan_pose.scores import ScoreSet
    from pcan_pose.taxonomy import Taxonomy


def write_tables(
    json_file: str | None, report: str, confusion: Path | None, result: "Metrics", taxonomy: "Taxonomy"
) -> list[Path]:
    """Return the paths of the JSON file and of the confusion's table, as far as they were asked for.

    Raises:
        DataError: a place that cannot be written.
    """
    from pcan_pose.atomic import atomic_write

    written: list[Path] = []
    if json_file is not None and json_file != "-":
        with _named(Path(json_file)), atomic_write(json_file) as temporary:
            temporary.write_text(report + "\n", encoding="utf-8")
        written.append(Path(json_file))
    if confusion is not None:
        with _named(confusion), atomic_write(confusion) as temporary:
            _write_confusion(temporary, result, taxonomy)
        written.append(confusion)
    return written


def draw(folder: Path, result: "Metrics", taxonomy: "Taxonomy", title: str) -> list[Path]:
    """Return the paths of the pictures of a result.

    Raises:
        DataError: a folder that cannot be written.
    """
    from pcan_pose.report import plot_evaluation

    with _named(folder):
        return plot_evaluation(folder, result, taxonomy, title)


def submit(path: Path, scores: "ScoreSet", clip_list: Path | None) -> Path:
    """Return the path of the submission, of the clips of an annotation list or of MA-52's test split."""
    from pcan_pose.clip_list import read_clip_list
    from pcan_pose.submission import write_submission

    return write_submission(path, scores, read_clip_list(clip_list).videos if clip_list else None)


@contextmanager
def _named(place: Path) -> Iterator[None]:
    """Return a context in which what cannot be written is a `DataError` that names the place."""
    from pcan_pose.errors import DataError

    try:
        yield
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror or error}).") from error


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
