"""Scores of clips from a network."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pcan_pose.data.source import ClipSource
from pcan_pose.models.folding import fold
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy


@torch.inference_mode()
def score_clips(
    recognizer: Recognizer,
    clips: ClipSource,
    taxonomy: Taxonomy,
    *,
    model: str,
    copies: int = 0,
    batch_size: int | None = None,
) -> ScoreSet:
    """Return the scores of every clip, frames taken at even distances.

    With copies, the logits are the logarithms of the mean probabilities over the clip itself and copies of it that are
    changed as in training. Copy k of every clip has the same change, so that a clip's scores do not depend on the clips
    around it.

    Args:
        recognizer: The network; it is left in evaluation mode.
        clips: The clips.
        taxonomy: The action tree.
        model: Name to store with the scores.
        copies: Changed copies of each clip, at least 0.
        batch_size: Clips in one batch; None leaves it to the source.
    """
    network = _for_inference(recognizer.eval())
    batch_size = batch_size or clips.scoring_size
    action_logits, body_logits = [], []
    for start in range(0, len(clips), batch_size):
        batch = torch.arange(start, min(start + batch_size, len(clips)), device=clips.device)
        actions, bodies = [], []
        for inputs in clips.scoring_batch(batch, copies):
            prediction = network(*inputs)
            actions.append(prediction.action_logits)
            bodies.append(prediction.body_logits)
        action_logits.append(_mean(actions))
        body_logits.append(_mean(bodies))
    return ScoreSet(
        clip_ids=clips.clip_ids,
        labels=clips.labels.cpu().numpy(),
        action_logits=_array(action_logits),
        body_logits=_array(body_logits),
        taxonomy=taxonomy,
        stream=clips.stream,
        model=model,
    )


def _for_inference(recognizer: Recognizer) -> Recognizer:
    """Return the network, folded where that is faster.

    A compiled one stays as it is: its copy would have to be compiled again.
    """
    norms = any(isinstance(module, nn.BatchNorm2d) for module in recognizer.encoder.modules())
    compiled = recognizer.encoder._compiled_call_impl is not None
    return fold(recognizer) if norms and not compiled else recognizer


def _mean(logits: list[torch.Tensor]) -> torch.Tensor:
    """Return the logits, or the logarithm of the mean probability of several."""
    if len(logits) == 1:
        return logits[0]
    return torch.stack([part.float().log_softmax(1) for part in logits]).logsumexp(0) - math.log(len(logits))


def _array(parts: list[torch.Tensor]) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return array
