"""Scores of clips from a network."""

import numpy as np
import numpy.typing as npt
import torch

from pcan_pose.config import DataConfig
from pcan_pose.data.dataset import PoseDataset
from pcan_pose.data.streams import fuse_streams
from pcan_pose.data.transforms import even_positions
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
    batch_size: int = 256,
) -> ScoreSet:
    """Return the scores of every clip of a dataset, frames taken at even distances.

    Args:
        recognizer: The network; it is left in evaluation mode.
        dataset: The clips.
        data: Streams and frames that the network was trained with.
        taxonomy: The action tree.
        model: Name to store with the scores.
        batch_size: Clips in one batch.
    """
    recognizer.eval()
    action_logits, body_logits = [], []
    for start in range(0, len(dataset), batch_size):
        clips = torch.arange(start, min(start + batch_size, len(dataset)), device=dataset.device)
        sample = dataset.sample(clips, even_positions(len(clips), data.frames, dataset.device))
        x = fuse_streams(sample.keypoints, sample.scores, dataset.skeleton, data.streams)
        prediction = recognizer(x, sample.scores > 0)
        action_logits.append(prediction.action_logits)
        body_logits.append(prediction.body_logits)
    return ScoreSet(
        clip_ids=dataset.clip_ids,
        labels=dataset.labels.cpu().numpy(),
        action_logits=_array(action_logits),
        body_logits=_array(body_logits),
        taxonomy=taxonomy,
        stream="+".join(data.streams),
        model=model,
    )


def _array(parts: list[torch.Tensor]) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return array
