"""The command `simulate`: made-up clips of MA-52's actions, as keypoints and as videos."""

from pathlib import Path

import click


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the keypoint set; must be new.")
@click.option("--clips", default=2000, show_default=True, type=click.IntRange(min=1), help="How many clips.")
@click.option("--subjects", default=20, show_default=True, type=click.IntRange(min=1), help="How many people.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Equal seeds, equal clips.")
@click.option(
    "--long-tail/--balanced",
    default=False,
    help="Actions as frequent as in MA-52 (of 156 clips or more at least 3 each), or all alike.  [default: balanced]",
)
@click.option(
    "--noise",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Estimator errors; 0: none.",
)
@click.option(
    "--ambiguity",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Likeness of actions; 0: least.",
)
@click.option("--fps", default=30.0, show_default=True, type=click.FloatRange(min=4), help="Frames a second.")
@click.option("--render", metavar="DIR", type=click.Path(path_type=Path), help="Also draw each clip to an MP4 here.")
@click.option("--render-height", default=256, show_default=True, type=click.IntRange(min=32), help="In pixels, even.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes that draw.")
def simulate(
    out: Path,
    clips: int,
    subjects: int,
    seed: int,
    long_tail: bool,
    noise: float,
    ambiguity: float,
    fps: float,
    render: Path | None,
    render_height: int,
    workers: int,
) -> None:
    """Simulate clips of MA-52's 52 actions.

    Makes a keypoint set (openpose28, 2-D) with labels, subjects and the splits train, val and test: of every five
    clips of an action three, one and one, so that 260 clips fill all of them. With --render it also draws the people
    as they moved, without the estimator's errors, for the RGB branch.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pcan_pose.data.simulate import SimulationConfig
    from pcan_pose.data.simulate_files import render_simulation, write_simulation
    from pcan_pose.errors import DataError

    config = SimulationConfig(
        clips=clips, subjects=subjects, seed=seed, long_tail=long_tail, noise=noise, ambiguity=ambiguity, fps=fps
    )
    taken = [path for path in (out, render) if path is not None and path.exists()]
    faults = [f"{path}: already exists; name another folder, or delete it first." for path in taken]
    if render is not None and render.resolve() == out.resolve():
        faults.append(f"{out}: --out and --render name the same folder; give the videos their own.")
    if render is not None and render_height % 2:
        faults.append(f"video height {render_height}: expected an even number.")
    if faults:
        # Found before the keypoints are made, so that nothing is half done.
        raise DataError(*faults)

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        made = progress.add_task("keypoints", total=clips)
        write_simulation(config, out, lambda n: progress.advance(made, n))
        if render is not None:
            drawn = progress.add_task("videos", total=clips)
            render_simulation(
                config,
                render,
                height=render_height,
                workers=workers,
                advance=lambda n: progress.advance(drawn, n),
            )
    click.echo(f"{out}: {clips} clips of {subjects} people, {'long tail' if long_tail else 'balanced'}, seed {seed}")
    if render is not None:
        click.echo(f"{render}: {clips} videos of {render_height} pixels height")
