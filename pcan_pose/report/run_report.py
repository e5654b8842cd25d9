"""The report of a run: every picture, and report.md with the same in words."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcan_pose.errors import DataError
from pcan_pose.level_metrics import FloatArray
from pcan_pose.metrics import Metrics, evaluate
from pcan_pose.report.ambiguity import BoolArray, find_ambiguous
from pcan_pose.report.comparison import plot_f1_change
from pcan_pose.report.drawing import action_names, name_note
from pcan_pose.report.embedding_map import plot_map, plot_part_maps
from pcan_pose.report.evaluation import plot_class_f1
from pcan_pose.report.prototypes import cosine_similarity, plot_similarity
from pcan_pose.report.text import Findings, report_text
from pcan_pose.report.within_parts import plot_part_confusions
from pcan_pose.scores import ScoreSet

REPORT = "report.md"
SIMILARITY, MAP, PART_MAPS = "prototype_similarity.png", "embedding_map.png", "embedding_map_parts.png"
F1, PART_CONFUSIONS = "f1_action.png", "confusion_parts.png"
FILES = frozenset({REPORT, SIMILARITY, MAP, PART_MAPS, F1, PART_CONFUSIONS})
"""All that a report's folder can hold."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunResult:
    """What a run makes of a split.

    Args:
        split: What the split is called.
        scores: Scores of N clips; those without a label are left out of the report.
        embeddings: (N, D), in the order of the scores.
        prototypes: (K_a, D).
        seen: bool (K_a,), actions whose prototype was ever updated.
        trained_embeddings: Whether a loss trained the layer that gives the embeddings.
        baseline: Another run's scores of the same clips.
    """

    split: str
    scores: ScoreSet
    embeddings: FloatArray
    prototypes: FloatArray
    seen: BoolArray
    trained_embeddings: bool = True
    baseline: ScoreSet | None = None


def write_report(folder: str | Path, result: RunResult) -> str:
    """Draw the pictures into a folder, write report.md beside them and return its text.

    Args:
        folder: Made if need be.
        result: What to report.

    Raises:
        DataError: If no clip has a label, or the baseline's clips or taxonomy are others.
    """
    folder = Path(folder)
    labelled = np.flatnonzero(result.scores.labels >= 0)
    if not len(labelled):
        raise DataError(
            f"none of the {len(result.scores):,} clips of split {result.split!r} has a label, so nothing can be "
            "measured; name a split with labels."
        )
    scores = result.scores.select(labelled)
    taxonomy, prototypes, seen = scores.taxonomy, result.prototypes, result.seen
    embeddings = result.embeddings[labelled]
    metrics = _measure(scores)
    baseline = None if result.baseline is None else _measure(_same_clips(result.baseline, scores))
    ambiguity = find_ambiguous(scores.action_logits, scores.body_logits, scores.labels, taxonomy)
    similarity = cosine_similarity(prototypes, seen)

    names, note, where = action_names(taxonomy), name_note(taxonomy), f"{scores.model}, split {result.split}"
    tree = {"parents": taxonomy.parent_array, "groups": taxonomy.body_parts}
    if seen.any():
        heading = f"{scores.model}: likeness of the action prototypes"
        plot_similarity(folder / SIMILARITY, similarity, names, title=heading, note=note, **tree)  # type: ignore[arg-type]
    drawn = (embeddings, prototypes, seen, ambiguity, taxonomy)
    plot_map(folder / MAP, *drawn, title=f"{where}: embeddings, coloured by body part")
    plot_part_maps(folder / PART_MAPS, *drawn, title=f"{where}: embeddings inside each body part, coloured by action")
    table, macro = metrics.action.table, metrics.action.f1_macro
    if baseline is None or result.baseline is None:
        heading = f"{where}: F1 of each action, {len(scores):,} clips"
        plot_class_f1(folder / F1, table, names, title=heading, note=note, **tree)  # type: ignore[arg-type]
    else:
        heading = f"{where}: F1 of each action; macro {macro:.2%}, baseline {baseline.action.f1_macro:.2%}"
        plot_f1_change(
            folder / F1,
            table,
            baseline.action.table,
            names,
            run_names=(scores.model, f"baseline {result.baseline.model}"),
            title=heading,
            note=note,
            **tree,  # type: ignore[arg-type]
        )
    heading = f"{where}: confusion inside each body part"
    plot_part_confusions(folder / PART_CONFUSIONS, metrics.action.confusion, taxonomy, heading, note)

    findings = Findings(
        model=scores.model,
        split=result.split,
        taxonomy=taxonomy,
        metrics=metrics,
        unlabelled=len(result.scores) - len(scores),
        baseline=baseline,
        baseline_model="" if result.baseline is None else result.baseline.model,
        ambiguity=ambiguity,
        similarity=similarity,
        trained_embeddings=result.trained_embeddings,
    )
    pictures = {"similarity": SIMILARITY, "map": MAP, "part_maps": PART_MAPS, "f1": F1, "parts": PART_CONFUSIONS}
    text = report_text(findings, pictures)
    (folder / REPORT).write_text(text, encoding="utf-8")
    return text


def _measure(scores: ScoreSet) -> Metrics:
    return evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy, clip_ids=scores.clip_ids)


def _same_clips(baseline: ScoreSet, scores: ScoreSet) -> ScoreSet:
    """Return the baseline's scores of the same clips in the same order."""
    if baseline.taxonomy != scores.taxonomy:
        raise DataError(
            f"baseline {baseline.model!r}: its taxonomy {baseline.taxonomy.name!r} is not the run's "
            f"{scores.taxonomy.name!r}; compare runs that were trained on the same labels."
        )
    rows = {clip_id: row for row, clip_id in enumerate(baseline.clip_ids)}
    lacking = [clip_id for clip_id in scores.clip_ids if clip_id not in rows]
    if lacking:
        raise DataError(
            f"baseline {baseline.model!r}: lacks {len(lacking):,} of the {len(scores):,} clips, such as "
            f"{lacking[0]!r}; test both runs on the same split."
        )
    return baseline.select(np.asarray([rows[clip_id] for clip_id in scores.clip_ids], np.int64))
