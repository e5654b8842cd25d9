"""The command `export`: a run in, one ONNX file out."""

from pathlib import Path

import click


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--onnx", required=True, metavar="FILE", type=click.Path(path_type=Path), help="ONNX file to write.")
@click.option(
    "--frames",
    metavar="T",
    type=click.IntRange(min=2),
    help="Frames that are sampled from each clip, for each member of a committee; the run's own if left out.",
)
@click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Another checkpoint of the run than its newest.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
def export(run: Path, onnx: Path, frames: int | None, checkpoint: Path | None, overwrite: bool) -> None:
    """Write a trained run over skeletons as one ONNX file, which runs without torch and without this library.

    RUN is a run folder. The file takes keypoints in the set's units and their scores, and gives the logits of actions
    and body parts that 'pcan-pose test' gives. ONNX Runtime, if it is installed, must agree before the file is written.
    """
    from pcan_pose.engine.export import export_run

    difference = export_run(run, onnx, frames=frames, checkpoint=checkpoint, overwrite=overwrite)
    checked = "not checked, as onnxruntime is not installed"
    if difference is not None:
        checked = f"ONNX Runtime differs from the run by at most {difference:.1e}"
    click.echo(f"wrote {onnx} ({onnx.stat().st_size / 1e6:.1f} MB); {checked}")
