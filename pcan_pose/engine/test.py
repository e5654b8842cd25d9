"""Testing: a run and a split in, a score file's content out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcan_pose.config import CommitteeConfig, RunConfig
from pcan_pose.data.clip_index import ClipIndex, read_index
from pcan_pose.engine.branches import Branch, one_branch, some_members
from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.clip_keys import clip_keys
from pcan_pose.engine.distributed import pick_device
from pcan_pose.engine.inference import NearestClips, score_clips
from pcan_pose.engine.network import build_network, with_precision
from pcan_pose.engine.run_folder import RunFolder
from pcan_pose.engine.sources import make_source
from pcan_pose.errors import CheckpointError, DataError
from pcan_pose.models.precision import prefers_bfloat16
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import Taxonomy

log = logging.getLogger(__name__)


def test_run(
    run: str | Path,
    split: str | None = None,
    *,
    data: str | Path | None = None,
    branch: Branch | None = None,
    members: Sequence[int] = (),
    copies: int = 0,
    neighbours: int = 0,
    neighbour_weight: float = 0.5,
    device: str = "auto",
) -> ScoreSet:
    """Return the scores of a trained run on a split, or on all clips of a set.

    Args:
        run: The run folder.
        split: Name of the split; None takes every clip.
        data: Keypoint set; None takes the run's own.
        branch: Which branch of a run of two to test alone; None for all that the run has.
        members: Which members of a committee to test without the others, counted from 1; none for all that it has.
        copies: Changed copies of each clip to average over, see `score_clips`.
        neighbours: Nearest clips of the run's training split that are asked too, see `Neighbours`; 0 asks none.
        neighbour_weight: Their share of the probability, in (0, 1).
        device: auto, cpu, cuda or cuda:N.

    Raises:
        CheckpointError: If the run or its checkpoint cannot be used.
        DataError: If the set has another layout or taxonomy, or no such split.
        ConfigError: If a branch or a member is asked for that the run has not.
    """
    config, recognizer, taxonomy, state = load_run(run, device)
    if branch is not None:
        recognizer = one_branch(recognizer, branch)
    if members:
        recognizer = some_members(recognizer, members)
    place = pick_device(device)
    keypoint_set = fitting_set(config.data.path if data is None else Path(data), state, taxonomy)
    chosen = keypoint_set if split is None else keypoint_set.select(keypoint_set.in_split(split))
    clips = make_source(chosen, config, place, branch)
    nearest = None
    if neighbours:
        own = keypoint_set if data is None else fitting_set(config.data.path, state, taxonomy)
        training = _labelled(own, config.data.train_split)
        nearest = NearestClips(make_source(training, config, place, branch), neighbours, neighbour_weight)
        if neighbours > len(training):
            log.warning("%s has %d labelled training clips: all of them are asked.", training.path, len(training))
    if known := _trained_on(clips.clip_ids, state):
        log.warning(
            "%d of %d clips have names of clips that the run was trained on: scores of known clips are no measure.",
            known,
            len(clips),
        )
    scores = score_clips(recognizer, clips, taxonomy, model=config.name, copies=copies, nearest=nearest)
    stream = scores.stream
    if members and isinstance(config.encoder, CommitteeConfig):
        seen = {stream for member in members for stream in config.encoder.members[member - 1].streams}
        stream = "+".join(each for each in config.data.streams if each in seen)
    made = {"split": "all clips" if split is None else split, "copies": copies, "neighbours": neighbours}
    if members:
        made["members"] = ", ".join(map(str, sorted(members)))
    if neighbours:
        made["neighbour_weight"] = neighbour_weight
    return replace(scores, stream=stream, extra={key: str(value) for key, value in made.items()})


def _trained_on(clip_ids: Sequence[str], state: Mapping[str, Any]) -> int:
    """Return how many clips have the name of a training clip; 0 for checkpoints that do not know theirs."""
    return int(torch.isin(clip_keys(clip_ids), state["clips"]).sum()) if "clips" in state else 0


def fitting_set(path: Path, state: Mapping[str, Any], taxonomy: Taxonomy) -> ClipIndex:
    """Return the clips of a set, without their keypoints.

    Raises:
        DataError: If there is no set, or it has another layout or taxonomy than the checkpoint.
    """
    keypoint_set = read_index(path)
    header = keypoint_set.header
    faults = []
    if (header.layout, header.dims) != (state["layout"], state["dims"]):
        faults.append(
            f"{path}: layout {header.layout!r} in {header.dims} dimensions, the run was trained on "
            f"{state['layout']!r} in {state['dims']}; extract or import in the run's layout."
        )
    if header.taxonomy is not None and header.taxonomy != taxonomy:
        faults.append(
            f"{path}: taxonomy {header.taxonomy.name!r} is not the run's {taxonomy.name!r}; its labels mean other "
            "things; test on a set with the run's taxonomy."
        )
    if faults:
        raise DataError(*faults)
    return keypoint_set


def _labelled(keypoint_set: ClipIndex, split: str) -> ClipIndex:
    """Return the clips of a split that have a label.

    Raises:
        DataError: If there is no such split, or none of its clips has one.
    """
    chosen = keypoint_set.select(keypoint_set.in_split(split))
    labelled = np.flatnonzero(chosen.labels >= 0)
    if not len(labelled):
        raise DataError(f"{keypoint_set.path}: no clip of split {split!r} has a label, so neighbours can say nothing.")
    return chosen.select(labelled)


def load_run(
    run: str | Path, device: str = "auto", checkpoint: Path | None = None
) -> tuple[RunConfig, Recognizer, Taxonomy, dict[str, Any]]:
    """Return a run's configuration, its trained network on a device, its taxonomy and its checkpoint's content.

    A network trained in bfloat16 computes in float32 on a device that is slow in bfloat16.

    Args:
        run: The run folder.
        device: auto, cpu, cuda or cuda:N.
        checkpoint: Another checkpoint of the run; None takes its newest.

    Raises:
        CheckpointError: If the run or its checkpoint cannot be used.
    """
    folder = RunFolder(Path(run))
    place = pick_device(device)
    config = with_precision(folder.config(), place)
    file = checkpoint or folder.checkpoint
    state = load_checkpoint(file)
    taxonomy = Taxonomy.from_json(str(state["taxonomy"]))
    recognizer = build_network(
        config, taxonomy, layout=str(state["layout"]), dims=int(str(state["dims"])), trained=state.get("rgb", {})
    )
    try:
        recognizer.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(f"{file}: does not fit the run's configuration: {str(error).splitlines()[0]}") from error
    if not prefers_bfloat16(place.type):
        # Slower there, and less exact.
        recognizer.precision = torch.float32
    return config, recognizer.to(place), taxonomy, state
