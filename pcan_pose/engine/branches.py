"""Networks of several parts: one branch or member alone, and the start of two branches from two runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import nn

from pcan_pose.config import EncoderConfig, TwoBranchConfig
from pcan_pose.engine.checkpoint import load_checkpoint
from pcan_pose.engine.run_folder import RunFolder
from pcan_pose.errors import CheckpointError, ConfigError
from pcan_pose.models.committee import Committee
from pcan_pose.models.member_heads import MemberHeads
from pcan_pose.models.recognizer import Recognizer
from pcan_pose.models.two_branch import TwoBranch
from pcan_pose.taxonomy import Taxonomy

Branch = Literal["pose", "rgb"]
BRANCHES: tuple[Branch, ...] = get_args(Branch)


def one_branch(recognizer: Recognizer, branch: Branch) -> Recognizer:
    """Return a branch of a two-branch network as a network of its own, which hears nothing from the other.

    Raises:
        ConfigError: If the network has one branch only.
    """
    encoder, head = recognizer.encoder, recognizer.head
    if not isinstance(encoder, TwoBranch) or not isinstance(head, MemberHeads):
        raise ConfigError(f"branch {branch!r}: the run has one branch only; leave the branch out.")
    alone = encoder.pose if branch == "pose" else encoder.rgb
    return Recognizer(alone, head.members[BRANCHES.index(branch)], recognizer.precision)


def some_members(recognizer: Recognizer, members: Sequence[int]) -> Recognizer:
    """Return some members of a committee as a network of its own, which takes the whole committee's streams and views.

    Args:
        recognizer: The network.
        members: Which ones, counted from 1 in the configuration's order, each once.

    Raises:
        ConfigError: If the network is no committee, or has no such member, or one comes twice.
    """
    encoder, head = recognizer.encoder, recognizer.head
    if not isinstance(encoder, Committee) or not isinstance(head, MemberHeads):
        raise ConfigError(f"member {members[0]}: the run has one network, no committee; leave the member out.")
    count = len(encoder.members)
    for member in members:
        if not 1 <= member <= count:
            raise ConfigError(f"member {member}: the committee has members 1 to {count}.")
    if len(set(members)) < len(members):
        raise ConfigError(f"members {', '.join(map(str, members))}: one comes twice; name each once.")
    places = [member - 1 for member in members]
    chosen = encoder.only(places)
    return Recognizer(chosen, head.only(places), recognizer.precision)


def start_from_runs(recognizer: Recognizer, config: EncoderConfig, taxonomy: Taxonomy) -> None:
    """Load encoders and heads of the runs that two branches start from; nothing for other encoders.

    What passes between the branches keeps its own start.

    Raises:
        CheckpointError: If a run cannot be used, was trained with another taxonomy, or does not fit.
    """
    if not isinstance(config, TwoBranchConfig):
        return
    for branch, run in zip(BRANCHES, (config.pose_run, config.rgb_run), strict=True):
        if run is not None:
            alone = one_branch(recognizer, branch)
            _load(alone, run, taxonomy)


def _load(network: nn.Module, run: Path, taxonomy: Taxonomy) -> None:
    file = RunFolder(run).checkpoint
    state = load_checkpoint(file)
    if Taxonomy.from_json(str(state["taxonomy"])) != taxonomy:
        raise CheckpointError(f"{file}: was trained with another taxonomy than the set has; start from another run.")
    try:
        network.load_state_dict(state["model"])
    except RuntimeError as error:
        raise CheckpointError(
            f"{file}: does not fit the configuration's branch: {' '.join(str(error).split())[:300]}; give the branch "
            "the run's encoder and head ('pcan-pose config show' prints them)."
        ) from error
