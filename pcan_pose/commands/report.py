"""The command `report`: a run in, pictures of its prototypes, embeddings and mistakes out."""

from pathlib import Path

import click

from pcan_pose.atomic import atomic_folder


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--split", help="Split of the run's keypoint set.  [default: the run's data.val_split]")
@click.option("--baseline", metavar="RUN", type=click.Path(path_type=Path), help="Run to compare the F1 with.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder to fill.  [default: RUN/report]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--overwrite", is_flag=True, help="Replace the folder of an earlier report.")
def report(run: Path, split: str | None, baseline: Path | None, out: Path | None, device: str, overwrite: bool) -> None:
    """Draw what a run has learnt, and where it errs.

    RUN is a run folder. Leaves report.md with the likeness of the prototypes, maps of the embeddings with ambiguous
    clips marked, the F1 of each action, against a baseline if one is named, and the confusion inside each body part.
    """
    from pcan_pose.engine.embeddings import embed_run
    from pcan_pose.engine.test import test_run
    from pcan_pose.errors import DataError
    from pcan_pose.report import RunResult, write_report

    out = run / "report" if out is None else out
    _check(out, overwrite)
    embedded = embed_run(run, split, device=device)
    result = RunResult(
        split=embedded.split,
        scores=embedded.scores,
        embeddings=embedded.embeddings,
        prototypes=embedded.prototypes,
        seen=embedded.seen,
        trained_embeddings=embedded.trained_embeddings,
        # The same set for both, wherever the baseline's own lay when it was trained.
        baseline=None
        if baseline is None
        else test_run(baseline, embedded.split, data=embedded.config.data.path, device=device),
    )
    try:
        with atomic_folder(out.resolve()) as folder:
            write_report(folder, result)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}).") from error
    click.echo(f"wrote {out / 'report.md'} and the pictures beside it ({len(embedded.scores):,} clips)")


def _check(out: Path, overwrite: bool) -> None:
    """Find out, before the work, that the folder may be written."""
    from pcan_pose.errors import DataError, first_names
    from pcan_pose.report.run_report import FILES

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is not a folder; name another with --out.")
    left = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if foreign := [name for name in left if name not in FILES]:
        raise DataError(f"{out}: holds what no report made ({first_names(foreign)}); name another folder with --out.")
    if left and not overwrite:
        raise DataError(
            f"{out}: holds an earlier report; replace it with --overwrite, or name another folder with --out."
        )
