"""The command `data import-scores`: the scores that another repository dumped become a score file."""

from pathlib import Path
from typing import Any

import click

from pcan_pose.commands.output_files import refuse_clashes


@click.command("import-scores")
@click.argument("pickle_file", metavar="PICKLE", type=click.Path(path_type=Path))
@click.option(
    "--clip-list",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The annotation list that was tested: names and order of the clips, and their labels.",
)
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Score file to write.")
@click.option("--branch", help="Which scores to take, such as rgb or pose, where there are several.")
@click.option("--taxonomy", default="ma52", show_default=True, help="Action tree: ma52, or a YAML file.")
@click.option("--prefix", default="", help="What clip ids have before the video's name, such as test/.")
@click.option("--model", default="mmaction2", show_default=True, help="What the model is called in the score file.")
@click.option(
    "--scores",
    "kind",
    type=click.Choice(["auto", "probabilities", "logits"]),
    default="auto",
    show_default=True,
    help="What the numbers are; auto takes rows that are 1 together as probabilities.",
)
def import_scores(
    pickle_file: Path,
    clip_list: Path,
    out: Path,
    branch: str | None,
    taxonomy: str,
    prefix: str,
    model: str,
    kind: Any,
) -> None:
    """Make a score file of the PICKLE that mmaction2, or the official PCAN repository, dumped its scores to.

    The pickle is read without running anything that it may hold. It says no clip's name: names come from the
    annotation list that was tested, and a list of another length, or of other labels, is refused.
    """
    from pcan_pose.clip_list import read_clip_list
    from pcan_pose.mmaction_scores import read_mmaction_scores
    from pcan_pose.scores import check_scores_writable, write_scores
    from pcan_pose.taxonomy import find_taxonomy

    refuse_clashes({"--out": out}, [pickle_file, clip_list])
    check_scores_writable(out)
    tree = find_taxonomy(taxonomy)
    scores = read_mmaction_scores(
        pickle_file, read_clip_list(clip_list), tree, branch=branch, model=model, prefix=prefix, kind=kind
    )
    write_scores(out, scores)
    known = int((scores.labels >= 0).sum())
    click.echo(f"{out}: {len(scores):,} clips, {known:,} with a label, scores of {scores.model}/{scores.stream}")
    click.echo(f"read as {scores.extra['imported'].split()[-1]}; body parts: {scores.extra['body']}")
