"""Scores of clips from a network."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pcan_pose.data.source import ClipSource
from pcan_pose.engine.distributed import Processes, gather
from pcan_pose.models.folding import fold
from pcan_pose.models.member_heads import mean_probability
from pcan_pose.models.neighbours import Neighbours
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class NearestClips:
    """Labelled clips of which the nearest to each scored clip say what it is.

    Args:
        clips: Training clips, all labelled.
        count: How many of them are asked, at least 1.
        weight: Their share of the probability, in (0, 1).
    """

    clips: ClipSource
    count: int
    weight: float


@torch.inference_mode()
def score_clips(
    recognizer: Recognizer,
    clips: ClipSource,
    taxonomy: Taxonomy,
    *,
    model: str,
    copies: int = 0,
    nearest: NearestClips | None = None,
    batch_size: int | None = None,
    processes: Processes | None = None,
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
        nearest: Training clips that are asked too, see `Neighbours`; None asks the network alone. A clip never asks the
            training clip of its own name.
        batch_size: Clips in one batch; None leaves it to the source.
        processes: Among which the clips are shared out, all of which must call; None scores all of them here.
    """
    network = _for_inference(recognizer.eval())
    neighbours = own = None
    if nearest is not None:
        neighbours, own = _neighbours(network, nearest, taxonomy), _own(clips, nearest.clips)
    mine = processes or Processes(0, 1, clips.device)
    action_logits, body_logits = [], []
    batches = torch.split(mine.share(len(clips)), batch_size or clips.scoring_size)
    each_input = clips.scoring_batches(batches, copies)
    for batch in batches:
        actions, bodies = [], []
        for inputs in islice(each_input, 1 + copies):
            if neighbours is None or own is None:
                prediction = network(*inputs)
            else:
                features = network.encode(*inputs)
                prediction = neighbours(features, network.head(features), own[batch])
            actions.append(prediction.action_logits)
            bodies.append(prediction.body_logits)
        action_logits.append(_mean(actions))
        body_logits.append(_mean(bodies))
    return ScoreSet(
        clip_ids=clips.clip_ids,
        labels=clips.labels.cpu().numpy(),
        action_logits=_array(action_logits, mine)[: len(clips)],
        body_logits=_array(body_logits, mine)[: len(clips)],
        taxonomy=taxonomy,
        stream=clips.stream,
        model=model,
    )


def _own(clips: ClipSource, known: ClipSource) -> torch.Tensor:
    """Return which of the known clips has each clip's name, int64 (N,), -1 for none."""
    places = {name: place for place, name in enumerate(known.clip_ids)}
    return torch.tensor([places.get(name, -1) for name in clips.clip_ids], device=clips.device)


def _neighbours(network: Recognizer, nearest: NearestClips, taxonomy: Taxonomy) -> Neighbours:
    clips = nearest.clips
    batches = torch.split(torch.arange(len(clips), device=clips.device), clips.scoring_size)
    features = [network.encode(*inputs) for inputs in clips.scoring_batches(batches, 0)]
    return Neighbours(
        torch.cat(features),
        clips.labels,
        torch.from_numpy(taxonomy.parent_array).to(clips.device),
        widths=getattr(network.encoder, "member_features", (network.encoder.out_features,)),
        count=nearest.count,
        weight=nearest.weight,
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
    return logits[0] if len(logits) == 1 else mean_probability([part.float() for part in logits])


def _array(parts: list[torch.Tensor], mine: Processes) -> npt.NDArray[np.float32]:
    rows = torch.cat(parts).float()
    array: npt.NDArray[np.float32] = (rows if mine.size == 1 else gather(rows)).cpu().numpy()
    return array
