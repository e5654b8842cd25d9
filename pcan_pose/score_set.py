"""Scores in memory: what a model says about each clip, and how clips are named in errors.

Shapes: N clips, K_a actions, K_b body parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import ScoreError, first_names
from pcan_pose.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class ScoreSet:
    """The scores of N clips by one model, or by several fused.

    Args:
        clip_ids: N names, each once.
        labels: (N,) integer action ids, -1 where unknown; kept as int64.
        action_logits: (N, K_a) float, finite; kept as float32.
        body_logits: (N, K_b) float, finite; kept as float32.
        taxonomy: the two levels.
        stream: what the model saw, for example `joint` or `rgb`.
        model: what the model is called.
        extra: text pairs of the writer's own, kept in the file's metadata.

    Raises:
        ScoreError: wrong shapes or kinds, duplicate ids, labels out of range, non-finite logits; all of them at once.
    """

    clip_ids: Sequence[str]
    labels: npt.NDArray[np.integer[Any]]
    action_logits: npt.NDArray[np.floating[Any]]
    body_logits: npt.NDArray[np.floating[Any]]
    taxonomy: Taxonomy
    stream: str
    model: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = tuple(self.clip_ids)
        faults = []
        if duplicates := _duplicates(ids):
            faults.append(f"{len(duplicates)} clip ids occur more than once ({first_names(duplicates)}).")
        if self.labels.shape != (len(ids),) or self.labels.dtype.kind not in "iu":
            faults.append(
                f"labels have shape {self.labels.shape} and type {self.labels.dtype}, expected ({len(ids)},) integers."
            )
        else:
            outside = (self.labels < -1) | (self.labels >= self.taxonomy.num_actions)
            if outside.any():
                last = self.taxonomy.num_actions - 1
                faults.append(f"labels are outside 0..{last} (-1: unknown) in {name_clips(outside, ids)}.")
        for name, logits, width in (
            ("action_logits", self.action_logits, self.taxonomy.num_actions),
            ("body_logits", self.body_logits, self.taxonomy.num_body_parts),
        ):
            if logits.shape != (len(ids), width) or logits.dtype.kind != "f":
                faults.append(
                    f"{name} have shape {logits.shape} and type {logits.dtype}, expected ({len(ids)}, {width}) floats: "
                    f"one column a class of taxonomy {self.taxonomy.name!r}."
                )
            elif (broken := ~np.isfinite(logits).all(axis=1)).any():
                faults.append(f"{name} are not finite in {name_clips(broken, ids)}.")
        if faults:
            raise ScoreError(*faults)
        object.__setattr__(self, "clip_ids", ids)
        object.__setattr__(self, "labels", self.labels.astype(np.int64, copy=False))
        for name in ("action_logits", "body_logits"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float32))

    def __len__(self) -> int:
        return len(self.clip_ids)

    def select(self, rows: npt.NDArray[np.int64]) -> "ScoreSet":
        """The scores of some clips, in the order of `rows`.

        Args:
            rows: (n,) int64 positions in [0, N), each once.
        """
        return ScoreSet(
            clip_ids=[self.clip_ids[row] for row in rows.tolist()],
            labels=self.labels[rows],
            action_logits=self.action_logits[rows],
            body_logits=self.body_logits[rows],
            taxonomy=self.taxonomy,
            stream=self.stream,
            model=self.model,
            extra=self.extra,
        )


def name_clips(mask: npt.ArrayLike, clip_ids: Sequence[str] | None) -> str:
    """'3 of 10 clips (a, b, c)', for error messages.

    Args:
        mask: (N,) bool, the clips meant.
        clip_ids: N names; None names rows.
    """
    names = [f"row {row}" if clip_ids is None else clip_ids[row] for row in np.flatnonzero(mask).tolist()]
    return f"{len(names)} of {np.size(mask)} clips ({first_names(names)})"


def _duplicates(ids: tuple[str, ...]) -> list[str]:
    if len(set(ids)) == len(ids):
        return []
    names, counts = np.unique(np.asarray(ids, dtype=object), return_counts=True)
    return [str(name) for name in names[counts > 1]]
