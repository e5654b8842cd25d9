"""How score sets are fused: weights and temperatures of each level, kept as a small JSON file.

Shapes: S score sets.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pcan_pose.atomic import atomic_write, check_file_writable
from pcan_pose.errors import ScoreError, TaxonomyError
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy

Space = Literal["probabilities", "logits"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class LevelFusion:
    """The fusion of one level.

    Args:
        weights: S finite numbers of 0 or more, not all 0; only their ratios matter.
        temperatures: S finite numbers above 0, which divide the logits.

    Raises:
        ScoreError: unfit numbers.
    """

    weights: tuple[float, ...]
    temperatures: tuple[float, ...]

    def __post_init__(self) -> None:
        weights, temperatures = list(self.weights), list(self.temperatures)
        faults = []
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            faults.append(f"weights are {weights}, expected finite numbers of 0 or more that are not all 0.")
        if not all(math.isfinite(temperature) and temperature > 0 for temperature in temperatures):
            faults.append(f"temperatures are {temperatures}, expected finite numbers above 0.")
        if len(weights) != len(temperatures):
            faults.append(f"{len(weights)} weights and {len(temperatures)} temperatures: give one each a score set.")
        if faults:
            raise ScoreError(*faults)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """(S,) float64, the weights scaled to sum to 1."""
        weights = np.asarray(self.weights, np.float64)
        shares: npt.NDArray[np.float64] = weights / weights.sum()
        return shares


@dataclass(frozen=True)
class FusionSettings:
    """The fusion of both levels.

    Args:
        space: what is averaged, softmax probabilities or logits.
        action: weights and temperatures of the action logits.
        body: weights and temperatures of the body logits.
        body_weight: power of the body parts' probabilities in the actions'; 0 leaves the actions as they are.
        branches: `model/stream` of each score set that this was fitted on; empty where any will do.
        taxonomy: the taxonomy that this was fitted on, None where any will do.
        fitted: what the fit has to tell: clips, files, losses.

    Raises:
        ScoreError: an unfit body weight.
    """

    space: Space
    action: LevelFusion
    body: LevelFusion
    body_weight: float = 0.0
    branches: tuple[str, ...] = ()
    taxonomy: Taxonomy | None = None
    fitted: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.body_weight) and self.body_weight >= 0):
            raise ScoreError(f"the body weight is {self.body_weight:g}, expected a finite number of 0 or more.")

    def check(self, score_sets: Sequence[ScoreSet], names: Sequence[str]) -> None:
        """Refuse score sets that these settings were not fitted for.

        Args:
            score_sets: S sets in the order in which they are to be fused.
            names: S names for error messages.

        Raises:
            ScoreError: another number of sets, another branch or another taxonomy; all at once.
        """
        expected = len(self.action.weights)
        if len(score_sets) != expected:
            raise ScoreError(f"{expected} weights for {len(score_sets)} score sets: give one each.")
        faults = [
            f"{name}: holds scores of {branch(scores)}, but the fusion was fitted on {fitted} in this place; "
            "give the files of both in the same order, tested in the same way."
            for scores, name, fitted in zip(score_sets, names, self.branches, strict=False)
            if branch(scores) != fitted
        ]
        if self.taxonomy is not None:
            faults += [
                f"{name}: taxonomy {scores.taxonomy.name!r} is not the one that the fusion was fitted on "
                f"({self.taxonomy.name!r})."
                for scores, name in zip(score_sets, names, strict=True)
                if scores.taxonomy != self.taxonomy
            ]
        if faults:
            raise ScoreError(*faults)


def branch(scores: ScoreSet) -> str:
    """`model/stream`, and what took part in the prediction: which branch scores come from, on whatever split."""
    given = {key: scores.extra.get(key, "0") for key in ("members", "copies", "neighbours", "neighbour_weight")}
    changes = ", ".join(f"{key} {value}" for key, value in given.items() if value != "0")
    return f"{scores.model}/{scores.stream}" + (f" ({changes})" if changes else "")


def write_settings(path: str | Path, settings: FusionSettings) -> Path:
    """The path of the JSON file, written whole or not at all.

    Args:
        path: the file to make; an existing one is replaced.
        settings: what to write.

    Raises:
        ScoreError: the file cannot be written there.
    """
    path = Path(path)
    check_file_writable(path, ScoreError)
    content = {"format": "pcan_pose.fusion", "schema_version": SCHEMA_VERSION, **asdict(settings)}
    content["taxonomy"] = settings.taxonomy.to_dict() if settings.taxonomy else None
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ScoreError(f"{path}: cannot be written ({error.strerror or error}).") from error
    return path


def read_settings(path: str | Path) -> FusionSettings:
    """The settings of a JSON file of `write_settings`.

    Raises:
        ScoreError: a missing or foreign file, or numbers that are unfit; each names the file.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScoreError(f"{path}: not a readable JSON file ({error}).") from error
    if not isinstance(content, dict) or content.get("format") != "pcan_pose.fusion":
        raise ScoreError(f"{path}: holds no fusion settings; write some with evaluate --fit ... --save-fusion.")
    if (version := content.get("schema_version")) != SCHEMA_VERSION:
        raise ScoreError(f"{path}: schema version {version}, this release reads {SCHEMA_VERSION}; fit it again.")
    try:
        settings = FusionSettings(
            space="logits" if content["space"] == "logits" else "probabilities",
            action=_level(content["action"]),
            body=_level(content["body"]),
            body_weight=float(content["body_weight"]),
            branches=tuple(map(str, content["branches"])),
            taxonomy=Taxonomy.from_dict(content["taxonomy"]) if content["taxonomy"] is not None else None,
            fitted=dict(content["fitted"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ScoreError(
            f"{path}: damaged fusion settings ({type(error).__name__}: {error}); fit them again."
        ) from error
    except (ScoreError, TaxonomyError) as error:
        raise ScoreError(*(f"{path}: {fault}" for fault in error.faults)) from error
    if len(settings.action.weights) != len(settings.body.weights) or content["space"] not in (
        "logits",
        "probabilities",
    ):
        raise ScoreError(f"{path}: damaged fusion settings (levels or space that do not fit); fit them again.")
    return settings


def _level(content: Mapping[str, Any]) -> LevelFusion:
    return LevelFusion(
        weights=tuple(float(weight) for weight in content["weights"]),
        temperatures=tuple(float(temperature) for temperature in content["temperatures"]),
    )
