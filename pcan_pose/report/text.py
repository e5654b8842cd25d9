"""The words of a run's report, in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pcan_pose.level_metrics import FloatArray
from pcan_pose.metrics import Metrics
from pcan_pose.report.ambiguity import MISSED, Ambiguity, confused_pairs
from pcan_pose.report.comparison import f1_change
from pcan_pose.report.drawing import name_note
from pcan_pose.report.prototypes import alike_pairs
from pcan_pose.taxonomy import Taxonomy

_PAIRS = 10
_ALIKE = 5
_CHANGES = 5
Rows = Sequence[Sequence[object]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """What there is to say of a run.

    Args:
        model: What the run is called.
        split: What it was measured on.
        taxonomy: The action tree.
        metrics: Of the labelled clips.
        unlabelled: Clips that were left out.
        baseline: The baseline's metrics of the same clips, or None.
        baseline_model: What the baseline is called.
        ambiguity: Kinds of the labelled clips.
        similarity: (K_a, K_a) cosine of the prototypes, NaN where there is none.
        trained_embeddings: Whether a loss trained the layer that gives the embeddings.
    """

    model: str
    split: str
    taxonomy: Taxonomy
    metrics: Metrics
    unlabelled: int
    baseline: Metrics | None
    baseline_model: str
    ambiguity: Ambiguity
    similarity: FloatArray
    trained_embeddings: bool


def report_text(findings: Findings, pictures: Mapping[str, str]) -> str:
    """Return the report.

    Args:
        findings: What to say.
        pictures: Names of the files, by similarity, map, part_maps, f1 and parts.
    """
    sections = [
        _result(findings),
        _f1(findings, pictures["f1"]),
        _ambiguous(findings),
        _confused(findings, pictures["parts"]),
        _prototypes(findings, pictures["similarity"]),
        _maps(findings, pictures),
    ]
    sections.append(_classes(findings))
    note = name_note(findings.taxonomy)
    return "\n\n".join([*sections, *([note] if note else [])]) + "\n"


def _result(findings: Findings) -> str:
    metrics = findings.metrics
    left_out = f" {findings.unlabelled:,} clips without a label are left out." if findings.unlabelled else ""
    rows = [[findings.model, *_numbers(metrics)]]
    if findings.baseline is not None:
        rows.append([f"baseline {findings.baseline_model}", *_numbers(findings.baseline)])
    head = ["run"] + [f"{level} {number}" for level in ("body", "action") for number in ("top-1", "F1 macro")]
    return (
        f"# {findings.model}, split {findings.split}\n\n{metrics.clips:,} clips, in per cent.{left_out}\n\n"
        + _table([*head, "action top-5", "F1 mean"], rows)
        + "\n\nMicro F1 equals top-1, as every clip has one label. F1 mean is the mean of macro and micro F1 of both "
        "levels."
    )


def _numbers(metrics: Metrics) -> list[str]:
    body, action = metrics.body, metrics.action
    shares = (body.top1, body.f1_macro, action.top1, action.f1_macro, action.top5, metrics.f1_mean)
    return ["-" if share is None else f"{100 * share:.2f}" for share in shares]


def _f1(findings: Findings, picture: str) -> str:
    table, parts = findings.metrics.action.table, ["## F1 of each action", f"![F1 of each action]({picture})"]
    asked = np.flatnonzero(table.support > 0)
    never = [i for i in asked.tolist() if table.f1[i] == 0]
    if never:
        parts.append(f"Never recognised ({len(never)} of {len(asked)}): {_list(findings.taxonomy, never)}.")
    absent = np.flatnonzero(table.support == 0).tolist()
    if absent:
        parts.append(f"Without a clip in this split ({len(absent)}): {_list(findings.taxonomy, absent)}.")
    if findings.baseline is not None:
        change = f1_change(table, findings.baseline.action.table)
        order = sorted(asked.tolist(), key=lambda i: -change[i])
        better, worse = int((change[asked] > 0).sum()), int((change[asked] < 0).sum())
        parts.append(
            f"Against {findings.baseline_model}: {better} actions better, {worse} worse, "
            f"{len(asked) - better - worse} equal."
        )
        moved = [i for i in order[:_CHANGES] if change[i] > 0] + [i for i in order[-_CHANGES:] if change[i] < 0]
        rows = [[_name(findings.taxonomy, i), f"{100 * change[i]:+.1f}", table.support[i]] for i in moved]
        if rows:
            parts.append(_table(["largest changes", "F1 in points", "clips"], rows))
    return "\n\n".join(parts)


def _ambiguous(findings: Findings) -> str:
    ambiguity, taxonomy = findings.ambiguity, findings.taxonomy
    total = len(ambiguity.labels)
    kinds = [
        ("TP", "both right", ambiguity.clear),
        *((kind, MISSED[kind], chosen) for kind, chosen in ambiguity.missed.items()),
        ("FP", "action wrong, counted for the action that it was taken for", ambiguity.false_positive),
    ]
    rows = [[kind, meaning, f"{chosen.sum():,}", f"{chosen.sum() / total:.1%}"] for kind, meaning, chosen in kinds]
    claimed = np.bincount(ambiguity.claimed[ambiguity.false_positive], minlength=taxonomy.num_actions)
    order = sorted(np.flatnonzero(claimed).tolist(), key=lambda i: (-claimed[i], i))[:_CHANGES]
    text = (
        "## Ambiguous clips\n\n"
        + _table(["set", "meaning", "clips", "share"], rows)
        + "\n\nTP, FN1, FN2 and FN3 divide the clips; FP are those of FN1 and FN3, seen from the other action. "
        "Predictions are those of the test, rectification included."
    )
    if order:
        text += "\n\nActions that most clips are wrongly taken for: "
        text += "; ".join(f"{_name(taxonomy, i)} ({claimed[i]:,})" for i in order) + "."
    return text


def _confused(findings: Findings, picture: str) -> str:
    taxonomy, confusion = findings.taxonomy, findings.metrics.action.confusion
    parents, support = taxonomy.parent_array, confusion.sum(axis=1)
    wrong = int(confusion.sum() - np.trace(confusion))
    inside = int(confusion[parents[:, None] == parents].sum() - np.trace(confusion))
    rows = [
        [
            _name(taxonomy, label),
            _name(taxonomy, taken),
            f"{clips:,} of {support[label]:,}",
            "yes" if parents[label] == parents[taken] else "no",
        ]
        for label, taken, clips in confused_pairs(confusion, _PAIRS)
    ]
    text = f"## Confusion inside each body part\n\n![Confusion inside each body part]({picture})\n\n"
    if not wrong:
        return text + "Every action is right."
    return (
        text
        + f"{wrong:,} actions are wrong; of them {inside:,} ({inside / wrong:.0%}) were taken for another action of "
        + "the same body part. The commonest mistakes:\n\n"
        + _table(["action", "taken for", "clips", "same body part"], rows)
    )


def _prototypes(findings: Findings, picture: str) -> str:
    similarity, taxonomy = findings.similarity, findings.taxonomy
    seen = np.isfinite(np.diagonal(similarity))
    if not seen.any():
        return (
            "## Prototypes\n\nThis run has no prototypes, so there is nothing to compare: either calibration, "
            "diversity and rectification are all off, or no clip was ever recognised at both levels in training."
        )
    others = similarity[np.isfinite(similarity) & ~np.eye(len(similarity), dtype=bool)]
    parts = ["## Prototypes", f"![Likeness of the prototypes]({picture})"]
    if len(others):
        parts.append(
            f"{int(seen.sum())} of {len(seen)} actions have a prototype; two of them have a cosine similarity of "
            f"{others.mean():.2f} on average."
        )
        parents = taxonomy.parent_array
        rows = [
            [_name(taxonomy, i), _name(taxonomy, j), f"{cosine:.2f}", "yes" if parents[i] == parents[j] else "no"]
            for i, j, cosine in alike_pairs(similarity, _ALIKE)
        ]
        parts.append(_table(["prototype", "most like", "cosine", "same body part"], rows))
    if not seen.all():
        parts.append(
            "Never recognised at both levels in training, so without a prototype: "
            f"{_list(taxonomy, np.flatnonzero(~seen).tolist())}."
        )
    return "\n\n".join(parts)


def _maps(findings: Findings, pictures: Mapping[str, str]) -> str:
    untrained = (
        ""
        if findings.trained_embeddings
        else " No loss trained this run's embedding, so the maps show a random view of the pooled features."
    )
    return (
        "## Embeddings\n\n"
        "Each clip's embedding at length 1, in the plane of the two largest principal components; each body part below "
        "has its own plane. Prototypes have length 1 too, and so lie further out than the mean of their clips. "
        "Ambiguous clips are marked. The axes say how much of the variance they show: clips that "
        f"lie together here may still be apart.{untrained}\n\n"
        f"![Map of the embeddings]({pictures['map']})\n\n![Maps of each body part]({pictures['part_maps']})"
    )


def _classes(findings: Findings) -> str:
    table, baseline, ambiguity = findings.metrics.action.table, findings.baseline, findings.ambiguity
    count = findings.taxonomy.num_actions
    missed = {kind: np.bincount(ambiguity.labels[chosen], minlength=count) for kind, chosen in ambiguity.missed.items()}
    claimed = np.bincount(ambiguity.claimed[ambiguity.false_positive], minlength=count)
    head = ["action", "clips", "precision", "recall", "F1", *(["baseline F1"] if baseline else []), *missed, "FP"]
    rows = [
        [
            _name(findings.taxonomy, i),
            f"{table.support[i]:,}",
            *(
                f"{100 * share[i]:.1f}" if table.present[i] else "-"
                for share in (table.precision, table.recall, table.f1)
            ),
            *([f"{100 * baseline.action.table.f1[i]:.1f}"] if baseline else []),
            *(f"{clips[i]:,}" for clips in missed.values()),
            f"{claimed[i]:,}",
        ]
        for i in range(count)
    ]
    return f"## Each action\n\nIn per cent; FN and FP in clips.\n\n{_table(head, rows)}"


def _name(taxonomy: Taxonomy, action: int) -> str:
    return f"{action} {taxonomy.actions[action]}"


def _list(taxonomy: Taxonomy, actions: Sequence[int]) -> str:
    return "; ".join(_name(taxonomy, i) for i in actions)


def _table(head: Sequence[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    # A bar in a class name would start another column.
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
