"""The files that the command `evaluate` writes, apart from score files and fusion settings."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pcan_pose.metrics import Metrics
    from pcan_pose.scores import ScoreSet
    from pcan_pose.taxonomy import Taxonomy

_CONFUSION = ("level", "label_id", "label", "predicted_id", "predicted", "clips")
_PREDICTIONS = ("clip_id", "label", "action", "probability", "body_part", "body_part_probability")


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
        written.append(_write_table(confusion, _CONFUSION, _confusions(result, taxonomy)))
    return written


def write_scored(
    scores: "ScoreSet", out: Path | None, predictions: Path | None, submission: Path | None, clip_list: Path | None
) -> list[Path]:
    """Return the paths of the score file, the table of predictions and the submission, as far as they were asked for.

    Args:
        scores: What is written.
        out: The score file.
        predictions: The table.
        submission: The submission, of the clips of an annotation list or of MA-52's test split.
        clip_list: The annotation list, or None.

    Raises:
        DataError: a place that cannot be written, or a list that cannot be read.
        ScoreError: clips that the submission needs and the scores lack.
    """
    from pcan_pose.clip_list import read_clip_list
    from pcan_pose.scores import write_scores
    from pcan_pose.submission import write_submission

    written: list[Path] = []
    if out is not None:
        written.append(write_scores(out, scores))
    if predictions is not None:
        written.append(_write_table(predictions, _PREDICTIONS, _predictions(scores)))
    if submission is not None:
        videos = read_clip_list(clip_list).videos if clip_list else None
        written.append(write_submission(submission, scores, videos))
    return written


def draw(folder: Path, result: "Metrics", taxonomy: "Taxonomy", title: str) -> list[Path]:
    """Return the paths of the pictures of a result.

    Raises:
        DataError: a folder that cannot be written.
    """
    from pcan_pose.report import plot_evaluation

    with _named(folder):
        return plot_evaluation(folder, result, taxonomy, title)


@contextmanager
def _named(place: Path) -> Iterator[None]:
    """Return a context in which what cannot be written is a `DataError` that names the place."""
    from pcan_pose.errors import DataError

    try:
        yield
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror or error}).") from error


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Return the path of a table as CSV.

    Raises:
        DataError: a place that cannot be written.
    """
    from pcan_pose.atomic import atomic_write

    with _named(path), atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def _confusions(result: "Metrics", taxonomy: "Taxonomy") -> Iterator[Sequence[object]]:
    """Yield a line for each pair of classes of both levels, so that any table program can turn the matrices."""
    for level, matrix, names in (
        ("body", result.body.confusion, taxonomy.body_parts),
        ("action", result.action.confusion, taxonomy.actions),
    ):
        for label, row in enumerate(matrix.tolist()):
            for predicted, clips in enumerate(row):
                yield level, label, names[label], predicted, names[predicted], clips


def _predictions(scores: "ScoreSet") -> Iterator[Sequence[object]]:
    """Yield a line for each clip: what was recognised, with probabilities in [0, 1]; an unknown label is empty."""
    import numpy as np

    from pcan_pose.fusion import log_softmax

    tree = scores.taxonomy
    actions, parts = (np.exp(log_softmax(logits)) for logits in (scores.action_logits, scores.body_logits))
    for clip_id, label, action, part in zip(scores.clip_ids, scores.labels.tolist(), actions, parts, strict=True):
        known = tree.actions[label] if label >= 0 else ""
        best, best_part = tree.actions[action.argmax()], tree.body_parts[part.argmax()]
        yield clip_id, known, best, f"{action.max():.4f}", best_part, f"{part.max():.4f}"
