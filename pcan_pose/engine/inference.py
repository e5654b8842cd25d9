"""Scores of clips from a network."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from pcan_pose.config import DataConfig
from pcan_pose.data.dataset import PoseDataset, Sample
from pcan_pose.data.streams import network_input
from pcan_pose.data.transforms import augment, even_positions, random_positions
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy


@torch.inference_mode()
def score_clips(
    recognizer: Recognizer,
    dataset: PoseDataset,
    data: DataConfig,
    taxonomy: Taxonomy,
    *,
    model: str,
    copies: int = 0,
    batch_size: int = 256,
) -> ScoreSet:
    """Return the scores of every clip of a dataset, frames taken at even distances.

    With copies, the logits are the logarithms of the mean probabilities over the clip itself and copies of it that are
    turned, scaled, mirrored and cropped as in training. Copy k of every clip has the same change, so that a clip's
    scores do not depend on the clips around it.

    Args:
        recognizer: The network; it is left in evaluation mode.
        dataset: The clips.
        data: Streams and frames that the network was trained with.
        taxonomy: The action tree.
        model: Name to store with the scores.
        copies: Changed copies of each clip, at least 0.
        batch_size: Clips in one batch.
    """
    recognizer.eval()
    action_logits, body_logits = [], []
    for start in range(0, len(dataset), batch_size):
        clips = torch.arange(start, min(start + batch_size, len(dataset)), device=dataset.device)
        actions, bodies = [], []
        for sample in _variants(dataset, data, clips, copies):
            x = network_input(sample.keypoints, sample.scores, dataset.skeleton, data)
            prediction = recognizer(x, sample.scores > 0)
            actions.append(prediction.action_logits)
            bodies.append(prediction.body_logits)
        action_logits.append(_mean(actions))
        body_logits.append(_mean(bodies))
    return ScoreSet(
        clip_ids=dataset.clip_ids,
        labels=dataset.labels.cpu().numpy(),
        action_logits=_array(action_logits),
        body_logits=_array(body_logits),
        taxonomy=taxonomy,
        stream="+".join(data.streams),
        model=model,
    )


def _variants(dataset: PoseDataset, data: DataConfig, clips: torch.Tensor, copies: int) -> Iterator[Sample]:
    """Yield the clips as they are, and then each copy of all of them."""
    yield dataset.sample(clips, even_positions(len(clips), data.frames, dataset.device))
    changes = data.augment.model_copy(update={"noise": 0.0, "joint_dropout": 0.0})
    for copy in range(copies):
        generator = torch.Generator(dataset.device).manual_seed(copy)
        positions = random_positions(1, data.frames, changes, generator).expand(len(clips), -1)
        sample = dataset.sample(clips, positions)
        yield Sample(*augment(sample.keypoints, sample.scores, dataset.skeleton, changes, generator, batch=1))


def _mean(logits: list[torch.Tensor]) -> torch.Tensor:
    """Return the logits, or the logarithm of the mean probability of several."""
    if len(logits) == 1:
        return logits[0]
    return torch.stack([part.float().log_softmax(1) for part in logits]).logsumexp(0) - math.log(len(logits))


def _array(parts: list[torch.Tensor]) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return array
