"""Late fusion: several models' scores of the same clips become one, joined by clip id and never by order.

Fused scores are log-probabilities, so that a fused `ScoreSet` can be fused, written and measured like any other.
The two levels of one set can be fused too: its body parts' probabilities then weigh its actions.

Shapes: S score sets, N clips, K_a actions, K_b body parts.
"""

import logging
from collections.abc import Sequence
from functools import reduce
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from pcan_pose.alignment import Alignment, Missing, align, check_choice, name_sets
from pcan_pose.errors import ScoreError
from pcan_pose.fusion_settings import FusionSettings, LevelFusion, Space
from pcan_pose.scores import ScoreSet

_LOG = logging.getLogger(__name__)
_ROWS_AT_ONCE = 1 << 16  # bounds the float64 working copies at 10^6 clips


def fuse(
    score_sets: Sequence[ScoreSet],
    weights: Sequence[float] | None = None,
    *,
    space: Space = "probabilities",
    missing: Missing = "error",
    names: Sequence[str] | None = None,
) -> ScoreSet:
    """One score set: the weighted mean of the sets' probabilities (as log-probabilities) or of their logits.

    What `missing="intersect"` leaves out is logged as a warning, and counted in `extra["left_out"]`.

    Args:
        score_sets: S sets of one taxonomy; the first gives the order of the clips.
        weights: S numbers of 0 or more, not all 0; by default all 1. Only their ratios matter.
        space: `probabilities` averages softmax probabilities, `logits` averages the logits as they are, which lets
            a model with larger logits weigh more.
        missing: as in `align`.
        names: as in `align`.

    Raises:
        ScoreError: unfit weights, an unknown choice, or what `align` refuses.
    """
    check_choice("space", space, get_args(Space))
    names = name_sets(score_sets, names)
    settings = equal_settings(len(score_sets), weights, space)
    return fuse_aligned(align(score_sets, missing=missing, names=names), settings)


def equal_settings(
    count: int, weights: Sequence[float] | None = None, space: Space = "probabilities"
) -> FusionSettings:
    """The settings with the same weights for both levels and no temperature.

    Args:
        count: S.
        weights: as in `fuse`.
        space: as in `fuse`.

    Raises:
        ScoreError: unfit weights.
    """
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(given) != count:
        raise ScoreError(f"{len(given)} weights for {count} score sets: give one each.")
    level = LevelFusion(weights=tuple(given), temperatures=(1.0,) * count)
    return FusionSettings(space=space, action=level, body=level)


def fuse_aligned(aligned: Alignment, settings: FusionSettings) -> ScoreSet:
    """One score set from sets that are aligned already; `settings.body_weight` is left to `joint_probability`.

    What the alignment left out is logged as a warning, and counted in `extra["left_out"]`.

    Args:
        aligned: S sets of the same clips.
        settings: weights and temperatures of S sets.

    Raises:
        ScoreError: settings for another number of sets, other branches or another taxonomy.
    """
    settings.check(aligned.sets, [f"set {i}" for i in range(1, len(aligned.sets) + 1)])
    extra = {
        "fused": ", ".join(f"{scores.model}/{scores.stream}" for scores in aligned.sets),
        "space": settings.space,
        **_describe(settings),
    }
    if aligned.report:
        _LOG.warning("%s", aligned.report)
        extra["left_out"] = ", ".join(str(len(ids)) for ids in aligned.left_out)
    mean = _mean_of_probabilities if settings.space == "probabilities" else _mean_of_logits
    first = aligned.sets[0]
    return ScoreSet(
        clip_ids=first.clip_ids,
        labels=aligned.labels,
        action_logits=mean([scores.action_logits for scores in aligned.sets], settings.action),
        body_logits=mean([scores.body_logits for scores in aligned.sets], settings.body),
        taxonomy=first.taxonomy,
        stream="+".join(dict.fromkeys(scores.stream for scores in aligned.sets)),
        model="+".join(dict.fromkeys(scores.model for scores in aligned.sets)),
        extra=extra,
    )


def joint_probability(scores: ScoreSet, weight: float = 1.0) -> ScoreSet:
    """The scores with each action weighed by its body part: p(a) * p(b(a))^weight, renormalised; body logits stay.

    An action is then likely only if the body head agrees with it.

    Args:
        scores: any score set; several are fused first, so that each level is fused across sets before the levels are.
        weight: as in `tree_fusion`.

    Raises:
        ScoreError: what `tree_fusion` refuses.
    """
    parents = scores.taxonomy.parent_array
    joint = np.empty_like(scores.action_logits)
    for start in range(0, len(scores), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        joint[rows] = log_softmax(tree_fusion(scores.action_logits[rows], scores.body_logits[rows], parents, weight))
    return ScoreSet(
        clip_ids=scores.clip_ids,
        labels=scores.labels,
        action_logits=joint,
        body_logits=scores.body_logits,
        taxonomy=scores.taxonomy,
        stream=scores.stream,
        model=scores.model,
        extra={**scores.extra, "joint_probability": "action x body", "body_weight": f"{weight:g}"},
    )


def tree_fusion(
    action_logits: npt.NDArray[np.floating[Any]],
    body_logits: npt.NDArray[np.floating[Any]],
    parents: npt.NDArray[np.int64],
    weight: float,
) -> npt.NDArray[np.float64]:
    """(N, K_a) float64, log p(a) + weight * log p_b(b(a)): the actions' scores with their body parts' beside them.

    Args:
        action_logits: (N, K_a) float, finite.
        body_logits: (N, K_b) float, finite.
        parents: (K_a,) int64 in [0, K_b), the body part of each action.
        weight: 0 or more; 0 leaves the actions as they are, 1 multiplies the two probabilities.

    Raises:
        ScoreError: shapes that do not fit each other, parents that are no body part, an unfit weight; all at once.
    """
    clips, actions = action_logits.shape
    of_body, body_parts = body_logits.shape
    faults = []
    if clips != of_body:
        faults.append(f"action logits of {clips} clips, body logits of {of_body}: give both of the same clips.")
    if parents.shape != (actions,):
        faults.append(f"parents have shape {parents.shape}, expected ({actions},): a body part for each action.")
    if ((parents < 0) | (parents >= body_parts)).any():
        faults.append(f"parents are {parents.min()} to {parents.max()}, expected body parts in 0..{body_parts - 1}.")
    if not (np.isfinite(weight) and weight >= 0):
        faults.append(f"the body parts' weight is {weight:g}, expected a finite number of 0 or more.")
    if faults:
        raise ScoreError(*faults)
    return log_softmax(action_logits) + weight * log_softmax(body_logits)[:, parents]  # (N, K_a)


def log_softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """(N, K) float64 log-probabilities.

    Args:
        logits: (N, K) float, finite.
    """
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _mean_of_probabilities(
    logits: Sequence[npt.NDArray[np.floating[Any]]], level: LevelFusion
) -> npt.NDArray[np.float32]:
    """(N, K) log of the weighted mean, summed as logarithms: exact where a probability underflows."""
    fused = np.empty(logits[0].shape, np.float32)
    for start in range(0, len(fused), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        terms = [
            log_softmax(of_set[rows] / temperature) + np.log(share)
            for of_set, share, temperature in zip(logits, level.shares, level.temperatures, strict=True)
            if share
        ]
        peak = reduce(np.maximum, terms)
        fused[rows] = peak + np.log(sum(np.exp(term - peak) for term in terms))
    return fused


def _mean_of_logits(logits: Sequence[npt.NDArray[np.floating[Any]]], level: LevelFusion) -> npt.NDArray[np.float32]:
    fused = np.zeros(logits[0].shape, np.float32)
    for of_set, share, temperature in zip(logits, level.shares, level.temperatures, strict=True):
        fused += np.float32(share / temperature) * of_set
    return fused


def _describe(settings: FusionSettings) -> dict[str, str]:
    """Text pairs for the fused set; short where both levels have the same weights and no temperature."""
    levels = {"action": settings.action, "body": settings.body}
    plain = settings.action == settings.body and set(settings.action.temperatures) == {1.0}
    if plain:
        return {"weights": _numbers(settings.action.shares.tolist())}
    return {
        f"{name}_{what}": _numbers(numbers)
        for name, level in levels.items()
        for what, numbers in (("weights", level.shares.tolist()), ("temperatures", level.temperatures))
    }


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
