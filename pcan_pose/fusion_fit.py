"""Fusion weights and temperatures fitted on a validation split, by the least negative log-likelihood (NLL).

Each level is fitted by itself: a weight and a temperature for each score set. With `space="logits"` one temperature
serves all sets, since the weights scale the logits already. The body parts' weight in the actions comes last.

Shapes: S score sets, N clips, K classes of one level.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from pcan_pose.alignment import Alignment
from pcan_pose.errors import ScoreError
from pcan_pose.fusion import fuse_aligned, log_softmax
from pcan_pose.fusion_settings import FusionSettings, LevelFusion, Space, branch
from pcan_pose.scores import ScoreSet, name_clips

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

_ROWS_AT_ONCE = 1 << 15
_LOG_WEIGHT = 6.0  # weights of one set at most e^12 times those of another
_LOG_TEMPERATURE = 4.0  # temperatures from 0.018 to 55
_MOST_BODY_WEIGHT = 5.0


def fit_fusion(
    aligned: Alignment,
    *,
    space: Space = "probabilities",
    body_weight: bool = False,
    names: Sequence[str] = (),
) -> FusionSettings:
    """The settings under which the fused probabilities of the labels are largest.

    `fitted` holds the number of clips, the files' names and the mean NLL with equal weights and as fitted.

    Args:
        aligned: S score sets of the same clips, all with labels: a validation split, never the one to be measured.
        space: what is to be averaged, probabilities or logits.
        body_weight: whether to fit the body parts' weight too; 0 otherwise.
        names: names of the sets, kept in `fitted`.

    Raises:
        ScoreError: clips without a label.
    """
    unlabelled = aligned.labels < 0
    if unlabelled.any():
        where = ", ".join(names) or "the score sets"
        raise ScoreError(
            f"{where}: no label in {name_clips(unlabelled, aligned.sets[0].clip_ids)}; fit on labelled clips."
        )
    taxonomy = aligned.sets[0].taxonomy
    parents = taxonomy.parent_array
    action, action_loss = _fit_level([scores.action_logits for scores in aligned.sets], aligned.labels, space)
    body, body_loss = _fit_level([scores.body_logits for scores in aligned.sets], parents[aligned.labels], space)
    settings = FusionSettings(
        space=space,
        action=action,
        body=body,
        branches=tuple(branch(scores) for scores in aligned.sets),
        taxonomy=taxonomy,
        fitted={"clips": len(aligned.labels), "files": list(names), "nll": {"action": action_loss, "body": body_loss}},
    )
    if not body_weight:
        return settings
    power, loss = _fit_body_weight(fuse_aligned(aligned, settings))
    losses = {**settings.fitted["nll"], "action_with_body": {"equal": action_loss["fitted"], "fitted": loss}}
    return FusionSettings(
        space=space,
        action=action,
        body=body,
        body_weight=power,
        branches=settings.branches,
        taxonomy=taxonomy,
        fitted={**settings.fitted, "nll": losses},
    )


def _fit_level(logits: Sequence[FloatArray], labels: IntArray, space: Space) -> tuple[LevelFusion, dict[str, float]]:
    count = len(logits)
    temperatures = 1 if space == "logits" else count
    start = np.zeros(count + temperatures)
    equal, _ = _loss(start, logits, labels, space)
    if space == "probabilities" and count > 1:
        # From each set's own best temperature: the joint problem is not convex, and this is close to its solution.
        start[count:] = [_minimise(np.zeros(2), [of_set], labels, space)[0][1] for of_set in logits]
    best, loss = _minimise(start, logits, labels, space)
    weights = _softmax(best[:count])
    level = LevelFusion(
        weights=tuple(weights.tolist()),
        temperatures=tuple(np.broadcast_to(np.exp(best[count:]), count).tolist()),
    )
    return level, {"equal": equal, "fitted": loss}


def _minimise(
    start: npt.NDArray[np.float64], logits: Sequence[FloatArray], labels: IntArray, space: Space
) -> tuple[npt.NDArray[np.float64], float]:
    count = len(logits)
    bounds = [(-_LOG_WEIGHT, _LOG_WEIGHT)] * count + [(-_LOG_TEMPERATURE, _LOG_TEMPERATURE)] * (len(start) - count)
    found = minimize(_loss, start, args=(logits, labels, space), jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x, float(found.fun)


def _loss(
    parameters: npt.NDArray[np.float64], logits: Sequence[FloatArray], labels: IntArray, space: Space
) -> tuple[float, npt.NDArray[np.float64]]:
    """The mean NLL and its gradient by the parameters: S logarithms of weights, then the logarithms of temperatures."""
    weights = _softmax(parameters[: len(logits)])  # (S,)
    colds = np.exp(-parameters[len(logits) :])  # (S,) or (1,), what multiplies the logits
    of_block = _pool_of_logits if space == "logits" else _pool_of_probabilities
    loss, gradient = 0.0, np.zeros_like(parameters)
    for first in range(0, len(labels), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        block = [of_set[rows].astype(np.float64) for of_set in logits]
        part, slope = of_block(block, labels[rows], weights, colds)
        loss += part
        gradient += slope
    return loss / len(labels), gradient / len(labels)


def _pool_of_probabilities(
    logits: Sequence[npt.NDArray[np.float64]],
    labels: IntArray,
    weights: npt.NDArray[np.float64],
    colds: npt.NDArray[np.float64],
) -> tuple[float, npt.NDArray[np.float64]]:
    rows = np.arange(len(labels))
    own, slopes = [], []
    for of_set, cold in zip(logits, colds, strict=True):
        logs = log_softmax(of_set * cold)  # (n, K)
        own.append(logs[rows, labels])
        slopes.append(cold * (of_set[rows, labels] - (np.exp(logs) * of_set).sum(axis=1)))
    terms = np.stack(own) + np.log(weights)[:, None]  # (S, n)
    peak = terms.max(axis=0)  # (n,)
    pooled = peak + np.log(np.exp(terms - peak).sum(axis=0))
    blame = np.exp(terms - pooled)  # (S, n), the share of each set in the label's probability
    by_weight = weights * len(labels) - blame.sum(axis=1)
    by_temperature = (blame * np.stack(slopes)).sum(axis=1)
    return -float(pooled.sum()), np.concatenate([by_weight, by_temperature])


def _pool_of_logits(
    logits: Sequence[npt.NDArray[np.float64]],
    labels: IntArray,
    weights: npt.NDArray[np.float64],
    colds: npt.NDArray[np.float64],
) -> tuple[float, npt.NDArray[np.float64]]:
    rows = np.arange(len(labels))
    pooled = sum(weight * of_set for weight, of_set in zip(weights, logits, strict=True))  # (n, K)
    logs = log_softmax(pooled * colds[0])
    shares = np.exp(logs)
    # How much the label's logit stands above the expected one, for each set and pooled.
    margins = np.stack([of_set[rows, labels] - (shares * of_set).sum(axis=1) for of_set in logits]).sum(axis=1)  # (S,)
    pooled_margin = float(weights @ margins)
    by_weight = -colds[0] * weights * (margins - pooled_margin)
    return -float(logs[rows, labels].sum()), np.append(by_weight, colds[0] * pooled_margin)


def _fit_body_weight(fused: ScoreSet) -> tuple[float, float]:
    """The power of the body parts' probabilities, and the mean NLL with it; the problem is convex."""
    rows = np.arange(len(fused))
    of_part = log_softmax(fused.body_logits)[:, fused.taxonomy.parent_array]  # (n, K_a)

    def loss(power: float) -> float:
        joint = log_softmax(fused.action_logits + power * of_part)
        return -float(joint[rows, fused.labels].mean())

    found = minimize_scalar(loss, bounds=(0.0, _MOST_BODY_WEIGHT), method="bounded")
    power, best = float(found.x), float(found.fun)
    return (0.0, without) if (without := loss(0.0)) <= best else (power, best)


def _softmax(logarithms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.exp(log_softmax(logarithms[None])[0])
