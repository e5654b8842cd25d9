"""Scores that mmaction2, and PCAN's official repository on top of it, dump as a pickle: import into a score set.

The pickle is a list with one entry a clip, in the order of the annotation list that was tested; it names no clip. An
entry is an array of action scores, or a data sample: a dict with `pred_scores` or `pred_score`, which is such an array
or a dict of them. There `item` is the only branch; the official head has `rgb` and `pose`, with the body parts' scores
beside them as `rgb_coarse` and `pose_coarse`.

Shapes: N clips, K_a actions, K_b body parts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pcan_pose.clip_list import ClipList, clip_name
from pcan_pose.errors import DataError, ScoreError, did_you_mean, first_names
from pcan_pose.scores import ScoreSet, name_clips
from pcan_pose.taxonomy import Taxonomy
from pcan_pose.unpickling import load_plain_pickle
from pcan_pose.unpickling_tensors import TENSORS

FloatArray = npt.NDArray[np.float64]
Kind = Literal["auto", "probabilities", "logits"]

_COARSE = "_coarse"
_ALONE = "item"
_LABELS = ("gt_labels", "gt_label")
_SCORES = ("pred_scores", "pred_score")
_TINY = float(np.finfo(np.float32).tiny)  # a probability that was rounded to 0
_NEEDS = (
    "Scores need dicts, lists, numpy arrays and torch tensors only: where the file was made, turn every data sample "
    "into a dict (sample.to_dict()) or every score into a numpy array, and dump again."
)


def read_mmaction_scores(
    path: str | Path,
    clips: ClipList,
    taxonomy: Taxonomy,
    *,
    branch: str | None = None,
    model: str = "mmaction2",
    prefix: str = "",
    kind: Kind = "auto",
) -> ScoreSet:
    """The scores of one branch; probabilities become logarithms. Nothing in the pickle is run.

    Where no body part has scores of its own, they are summed from the actions' (`extra["body"]` says so).

    Args:
        path: the pickle.
        clips: the annotation list that was tested, which gives names, order and labels.
        taxonomy: the two levels.
        branch: such as `rgb` or `pose`; None takes the only one.
        model: what the model is to be called.
        prefix: what the clip ids have before the video's name, such as `test/`.
        kind: what the scores are; `auto` takes rows in [0, 1] that are 1 together as probabilities.

    Raises:
        DataError: a damaged pickle or one that holds code, an unknown form.
        ScoreError: another number of clips than the list's, another number of classes than the taxonomy's, an unknown
            branch, labels that contradict the list's, scores that are not finite.
    """
    content = load_plain_pickle(path, also=TENSORS, needs=_NEEDS)
    try:
        return _to_score_set(content, clips, taxonomy, branch=branch, model=model, prefix=prefix, kind=kind)
    except (DataError, ScoreError) as error:
        raise type(error)(*(f"{path}: {fault}" for fault in error.faults)) from None


def _to_score_set(
    content: Any, clips: ClipList, taxonomy: Taxonomy, *, branch: str | None, model: str, prefix: str, kind: Kind
) -> ScoreSet:
    if not isinstance(content, list | tuple) or not content:
        raise DataError(f"holds {type(content).__name__}, expected a list with one entry a clip.")
    if len(content) != len(clips.videos):
        raise ScoreError(
            f"{len(content)} clips, but {clips.path} names {len(clips.videos)}; give the list that was tested."
        )
    samples = [_branches(sample, row) for row, sample in enumerate(content)]
    known = list(dict.fromkeys(name for sample in samples for name in sample if not name.endswith(_COARSE)))
    if branch is None:
        if len(known) > 1:
            raise ScoreError(f"holds the branches {', '.join(known)}: choose one (--branch {known[0]}).")
        chosen = known[0]
    elif branch in known:
        chosen = branch
    else:
        raise ScoreError(f"holds no branch {branch!r}.{did_you_mean(branch, known)}")
    action = _stack(samples, chosen, taxonomy.num_actions, clips.videos)
    coarse = chosen + _COARSE
    body = _stack(samples, coarse, taxonomy.num_body_parts, clips.videos) if coarse in samples[0] else None
    action_kind = _kind_of(action) if kind == "auto" else kind
    if action_kind == "probabilities":
        action = _logarithms(action, clips.videos)
    if body is None:
        body = _sum_over_tree(action, taxonomy)
    elif (_kind_of(body) if kind == "auto" else kind) == "probabilities":
        body = _logarithms(body, clips.videos)
    return ScoreSet(
        clip_ids=[prefix + clip_name(video) for video in clips.videos],
        labels=_labels(content, clips),
        action_logits=action,
        body_logits=body,
        taxonomy=taxonomy,
        stream="unknown" if chosen == _ALONE else chosen,
        model=model,
        extra={
            "imported": f"mmaction2 {action_kind}",
            "body": "own scores" if coarse in samples[0] else "summed from the actions",
        },
    )


def _branches(sample: Any, row: int) -> dict[str, Any]:
    """The scores of one clip by branch; a bare array is the branch `item`."""
    scores = sample
    if isinstance(sample, Mapping):
        scores = next((sample[key] for key in _SCORES if key in sample), sample)
    if isinstance(scores, np.ndarray | list | tuple):
        return {_ALONE: scores}
    if isinstance(scores, Mapping):
        found = {str(name): value for name, value in scores.items() if isinstance(value, np.ndarray | list | tuple)}
        if any(not name.endswith(_COARSE) for name in found):
            return found
    held = (
        f"a dict with {first_names([str(key) for key in sample])}"
        if isinstance(sample, Mapping)
        else type(sample).__name__
    )
    raise DataError(f"entry {row} is {held}; expected an array of scores, or a dict with pred_scores or pred_score.")


def _stack(samples: Sequence[Mapping[str, Any]], name: str, width: int, videos: Sequence[str]) -> FloatArray:
    """(N, width) float64, one branch of all clips."""
    given = [_array(sample.get(name, ())) for sample in samples]
    strange = np.asarray([array is None for array in given])
    if strange.any():
        raise ScoreError(f"scores {name!r} are no array of numbers in {name_clips(strange, videos)}.")
    rows = [np.asarray(array, np.float64).squeeze() for array in given]
    wrong = np.asarray([row.shape != (width,) for row in rows])
    if wrong.any():
        shape = rows[int(wrong.argmax())].shape
        raise ScoreError(f"scores {name!r} have shape {shape}, expected ({width},), in {name_clips(wrong, videos)}.")
    return np.stack(rows)


def _array(values: Any) -> npt.NDArray[Any] | None:
    """The values as an array of numbers; None where they are text or rows of several lengths."""
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    return array if array.dtype.kind in "fiub" else None


def _kind_of(scores: FloatArray) -> Kind:
    inside = (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-2)  # half precision sums to 1 this far
    return "probabilities" if inside else "logits"


def _logarithms(scores: FloatArray, videos: Sequence[str]) -> FloatArray:
    negative = np.asarray((scores < 0).any(axis=1))
    if negative.any():
        raise ScoreError(f"probabilities below 0 in {name_clips(negative, videos)}; are they logits?")
    return np.log(np.maximum(scores, _TINY))


def _sum_over_tree(action: FloatArray, taxonomy: Taxonomy) -> FloatArray:
    """(N, K_b) logarithms of the body parts' probabilities, each the sum of its actions'."""
    powers = np.exp(action - action.max(axis=1, keepdims=True))  # (N, K_a)
    sums = np.stack(
        [powers[:, taxonomy.parent_array == part].sum(axis=1) for part in range(taxonomy.num_body_parts)], 1
    )
    return np.log(np.maximum(sums / sums.sum(axis=1, keepdims=True), _TINY))


def _labels(content: Sequence[Any], clips: ClipList) -> npt.NDArray[np.int64]:
    """(N,) int64, the list's labels, checked against the pickle's: they tell a list in another order."""
    own = np.asarray([_label(sample) for sample in content], np.int64)
    other = (own >= 0) & (clips.labels >= 0) & (own != clips.labels)
    if other.any():
        raise ScoreError(
            f"labels contradict those of {clips.path} in {name_clips(other, clips.videos)}; "
            "is it the list that was tested?"
        )
    return clips.labels


def _label(sample: Any) -> int:
    if not isinstance(sample, Mapping):
        return -1
    label = next((sample[key] for key in _LABELS if key in sample), None)
    if isinstance(label, Mapping):
        label = label.get(_ALONE)
    numbers = None if label is None else _array(label)
    if numbers is None or numbers.size != 1 or numbers.dtype.kind not in "iu":
        return -1
    return int(numbers.reshape(-1)[0])
