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
        written.append(_write_predictions(predictions, scores))
    if submission is not None:
        videos = read_clip_list(clip_list).videos if clip_list else None
        written.append(write_submission(submission, scores, videos))
    return written


def _write_predictions(path: Path, scores: "ScoreSet") -> Path:
    """Return the path of a table of what was recognised in each clip, one line a clip.

    Probabilities are the softmax of a level's logits, in [0, 1]; a label that is not known is an empty field.

    Raises:
        DataError: a place that cannot be written.
    """
    import numpy as np
    from scipy.special import softmax

    from pcan_pose.atomic import atomic_write

    tree = scores.taxonomy
    actions, parts = (softmax(of.astype(np.float64), axis=1) for of in (scores.action_logits, scores.body_logits))
    with _named(path), atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["clip_id", "label", "action", "probability", "body_part", "body_part_probability"])
        writer.writerows(
            [
                clip_id,
                tree.actions[label] if label >= 0 else "",
                tree.actions[action.argmax()],
                f"{action.max():.4f}",
                tree.body_parts[part.argmax()],
                f"{part.max():.4f}",
            ]
            for clip_id, label, action, part in zip(
                scores.clip_ids, scores.labels.tolist(), actions, parts, strict=True
            )
        )
    return path


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
