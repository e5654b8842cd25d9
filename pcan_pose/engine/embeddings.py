"""Embeddings of a run's clips, with its scores and prototypes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pcan_pose.config import RunConfig
from pcan_pose.data.source import ClipSource
from pcan_pose.engine.distributed import pick_device
from pcan_pose.engine.inference import score_clips
from pcan_pose.engine.sources import make_source
from pcan_pose.engine.test import fitting_set, load_run
from pcan_pose.errors import ConfigError
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class EmbeddedRun:
    """What a run makes of a split, embeddings and prototypes included.

    Args:
        config: The run's.
        split: Name of the split.
        scores: Of its N clips.
        embeddings: float32 (N, D), in the space of the action prototypes.
        prototypes: float32 (K_a, D).
        seen: bool (K_a,), actions whose prototype was ever updated.
    """

    config: RunConfig
    split: str
    scores: ScoreSet
    embeddings: npt.NDArray[np.float32]
    prototypes: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]

    @property
    def trained_embeddings(self) -> bool:
        """Whether a loss trained the embedding; the head freezes it otherwise."""
        head = self.config.head
        return head.calibration.enabled or (head.diversity_weight > 0 and head.diversity == "differentiable")


def embed_run(run: Path, split: str | None = None, *, device: str = "auto") -> EmbeddedRun:
    """Return the scores, embeddings and prototypes of a trained run on a split of its own keypoint set.

    Args:
        run: The run folder.
        split: Name of the split; None takes the one that was measured during training.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        CheckpointError: If the run or its checkpoint cannot be used.
        ConfigError: If no split is given and none was measured.
        DataError: If the set has changed its layout or taxonomy, or has no such split.
    """
    config, recognizer, taxonomy, state = load_run(run, device)
    keypoint_set = fitting_set(config.data.path, state, taxonomy)
    if split is None:
        split = config.data.val_split
    if split is None:
        raise ConfigError(
            f"{run}: no split was measured while it was trained (data.val_split is empty); name one with --split. "
            f"The set has {', '.join(keypoint_set.split_names()) or 'no splits'}."
        )
    clips = make_source(keypoint_set.select(keypoint_set.in_split(split)), config, pick_device(device))
    scores, embeddings = embed_clips(recognizer, clips, taxonomy, model=config.name)
    head = recognizer.head
    return EmbeddedRun(
        config, split, scores, embeddings, head.prototypes.float().cpu().numpy(), head.seen.cpu().numpy()
    )


def embed_clips(
    recognizer: Recognizer,
    clips: ClipSource,
    taxonomy: Taxonomy,
    *,
    model: str,
    batch_size: int | None = None,
) -> tuple[ScoreSet, npt.NDArray[np.float32]]:
    """Return the scores of every clip and its embedding, float32 (N, D), in one pass over the clips.

    Args:
        recognizer: The network; it is left in evaluation mode.
        clips: N clips.
        taxonomy: The action tree.
        model: Name to store with the scores.
        batch_size: Clips in one batch; None leaves it to the source.
    """
    batches: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, prediction: Any) -> None:
        batches.append(prediction.embeddings)

    # Listening to the scoring pass keeps one description of how clips reach the network.
    listening = recognizer.register_forward_hook(keep)
    try:
        scores = score_clips(recognizer, clips, taxonomy, model=model, batch_size=batch_size)
    finally:
        listening.remove()
    embeddings: npt.NDArray[np.float32] = torch.cat(batches).float().cpu().numpy()
    return scores, embeddings
