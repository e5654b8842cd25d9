"""The command `train`: a configuration in, a run folder out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pcan_pose.config import RunConfig


@click.command()
@click.argument("config_file", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be repeated.")
@click.option("--resume", is_flag=True, help="Go on from the run folder's last checkpoint, if there is one.")
@click.option("--dry-run", is_flag=True, help="Check configuration and data, say what would be trained, write nothing.")
def train(config_file: Path, overrides: tuple[str, ...], resume: bool, dry_run: bool) -> None:
    """Train a run.

    CONFIG is a YAML file, or the name of one that ships with the package, such as nwucla_small. The run folder
    <output>/<name> gets the resolved configuration, metrics.jsonl, TensorBoard events and the checkpoint. Several
    processes: torchrun --nproc-per-node 2 -m pcan_pose train CONFIG.
    """
    from pcan_pose.config import load_config

    settings = load_config(config_file, overrides)
    if dry_run:
        _describe(settings)
        return

    from rich.console import Console

    from pcan_pose.commands.progress import EpochProgress
    from pcan_pose.engine.train import train as run

    with EpochProgress(Console(stderr=True), settings.train.epochs) as progress:
        folder = run(settings, resume=resume, progress=progress.epoch)
    if progress.speaks:
        click.echo(f"trained: {folder}")


def _describe(settings: "RunConfig") -> None:
    from pcan_pose.engine.distributed import Processes, pick_device
    from pcan_pose.engine.sources import load_data
    from pcan_pose.engine.train import Trainer

    device = pick_device(settings.train.device)
    data = load_data(settings, device)
    trainer = Trainer(settings, data, Processes(0, 1, device), None)
    parameters = sum(parameter.numel() for parameter in trainer.recognizer.parameters())
    encoder = sum(parameter.numel() for parameter in trainer.recognizer.encoder.parameters())
    tree, header = data.taxonomy, data.header
    lines = {
        "run": settings.folder,
        "device": device,
        "train clips": f"{len(data.train):,} of split {settings.data.train_split!r}",
        "val clips": "none" if data.val is None else f"{len(data.val):,} of split {settings.data.val_split!r}",
        "taxonomy": f"{tree.name}: {tree.num_actions} actions, {tree.num_body_parts} body parts",
        "layout": f"{header.layout}, {header.skeleton.num_joints} joints in {header.dims} dimensions",
        "parameters": f"{parameters:,} ({encoder:,} of the encoder)",
        "steps": f"{trainer.steps_per_epoch:,} an epoch, {trainer.steps_per_epoch * settings.train.epochs:,} in all",
    }
    for name, value in lines.items():
        click.echo(f"{name:<12} {value}")
