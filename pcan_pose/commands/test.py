"""The command `test`: a run in, a score file out."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Split of the keypoint set.  [default: all clips]")
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Score file (Parquet).")
@click.option("--data", metavar="SET", type=click.Path(path_type=Path), help="Another keypoint set than the run's.")
@click.option(
    "--branch", type=click.Choice(["pose", "rgb"]), help="Score with one branch of a run of two, without the other."
)
@click.option(
    "--member",
    "members",
    metavar="K",
    multiple=True,
    type=click.IntRange(min=1),
    help="Score with this member of a committee, without those not named; 1 is the first. May be repeated.",
)
@click.option(
    "--copies",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Average over the clip and this many copies, changed as in training.",
)
@click.option(
    "--neighbours",
    metavar="P",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Ask the P nearest training clips too, as the network sees them, such as 10; see on val if it helps.",
)
@click.option(
    "--neighbour-weight",
    metavar="W",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The neighbours' share of the probability.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def test(
    run: Path,
    split: str | None,
    out: Path,
    data: Path | None,
    branch: Any,
    members: tuple[int, ...],
    copies: int,
    neighbours: int,
    neighbour_weight: float,
    device: str,
) -> None:
    """Score the clips of a split, or all clips of a set, with a trained run.

    RUN is a run folder. Labels, if the clips have any, go into the score file beside the scores; 'pcan-pose evaluate'
    measures them, and its --predictions names what was recognised in each clip.
    """
    from pcan_pose.engine.test import test_run
    from pcan_pose.scores import check_scores_writable, write_scores

    weight_given = click.get_current_context().get_parameter_source("neighbour_weight") != ParameterSource.DEFAULT
    if weight_given and not neighbours:
        raise click.UsageError("--neighbour-weight without --neighbours does nothing: say how many to ask.")
    check_scores_writable(out)
    scores = test_run(
        run,
        split,
        data=data,
        branch=branch,
        members=members,
        copies=copies,
        neighbours=neighbours,
        neighbour_weight=neighbour_weight,
        device=device,
    )
    write_scores(out, scores)
    click.echo(f"wrote {out} ({len(scores):,} clips{'' if split is None else f' of split {split!r}'})")
