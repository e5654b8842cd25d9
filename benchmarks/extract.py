"""How fast videos become keypoints: the estimator alone, the pipeline with one worker, and with two.

    python -m benchmarks.extract --videos MA-52/samples
    python -m benchmarks.extract --videos MA-52/samples --backend onnx --model rtmw.onnx

The estimator alone is given pictures that lie in memory; its networks are loaded before the clock starts. The pipeline
decodes, estimates and writes a whole set; the time that its processes take to start is measured on one short video and
taken off, as it does not grow with the work. A worker decodes in a thread of its own, so one worker keeps more than one
CPU busy; how the work scales shows against one worker on one CPU. All take turns, `--rounds` times, and the medians are
shown. With a backend that has batches, the estimator alone is also measured with batches of one picture.
"""

import json
import os
import shutil
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.measure import device_name
from pcan_extract.backends import BackendOptions, PoseBackend, create_backend
from pcan_extract.pipeline import extract
from pcan_extract.video import Frame, VideoInfo, VideoReader
from pcan_pose.atomic import atomic_write
from pcan_pose.clip_list import is_video
from pcan_pose.engine.distributed import pick_device


def main() -> None:
    """Measure, print and write the figures."""
    given = _options()
    has_options = given.backend != "mediapipe"
    device = "cpu" if has_options else "auto"
    options = BackendOptions(model=given.model, checkpoint=given.checkpoint, device=device)
    single = replace(options, batch_size=1) if has_options else None
    films = sorted(path for path in given.videos.rglob("*") if is_video(path))
    pictures = [_read(film) for film in films]
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        copies = _copies(films, work / "videos", given.copies)
        for _ in range(given.rounds):
            measured = {"estimator alone": _alone(create_backend(given.backend, options), pictures)}
            if single is not None:
                measured["estimator alone, one picture at a time"] = _alone(
                    create_backend(given.backend, single), pictures
                )
            with _one_cpu():
                measured["pipeline, 1 worker on one CPU"] = _pipeline(given, options, copies, work / "set", 1)
            measured["pipeline, 1 worker"] = _pipeline(given, options, copies, work / "set", 1)
            measured["pipeline, 2 workers"] = _pipeline(given, options, copies, work / "set", 2)
            for name, rate in measured.items():
                rates.setdefault(name, []).append(rate)
    figures = {name: median(values) for name, values in rates.items()}
    alone, pinned, one, two = (
        figures[name]
        for name in ("estimator alone", "pipeline, 1 worker on one CPU", "pipeline, 1 worker", "pipeline, 2 workers")
    )
    ratios = {
        "one worker to the estimator alone": one / alone,
        "two workers to one": two / one,
        "two workers to one on one CPU": two / pinned,
    }
    if single is not None:
        ratios["batches to one picture at a time"] = alone / figures["estimator alone, one picture at a time"]
    report = {
        "backend": given.backend,
        "model": given.model,
        "videos": len(films),
        "frames": sum(len(frames) for frames, _ in pictures),
        "copies": given.copies,
        "machine": device_name(pick_device("cpu")),
        "frames_per_second": figures,
        "rounds": rates,
        "ratios": ratios,
    }
    with atomic_write(given.out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, value in figures.items():
        print(f"{name:<42} {value:6.1f} frames/s")
    for name, value in ratios.items():
        print(f"{name:<42} {value:6.2f}")


@contextmanager
def _one_cpu() -> Iterator[None]:
    """Return a context in which this process and those that it starts have one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _read(film: Path) -> tuple[list[Frame], VideoInfo]:
    with VideoReader(film) as reader:
        return list(reader), reader.info


def _copies(films: Sequence[Path], folder: Path, count: int) -> Path:
    folder.mkdir()
    for i in range(count):
        for film in films:
            shutil.copy(film, folder / f"{i}_{film.name}")
    return folder


def _alone(backend: PoseBackend, pictures: Sequence[tuple[list[Frame], VideoInfo]]) -> float:
    """Return frames a second of wall time."""
    with backend as estimator:
        frames, info = pictures[0]
        estimator.estimate(iter(frames[:8]), info)
        start = time.perf_counter()
        for frames, info in pictures:
            estimator.estimate(iter(frames), info)
        return sum(len(frames) for frames, _ in pictures) / (time.perf_counter() - start)


def _pipeline(given: Namespace, options: BackendOptions, videos: Path, out: Path, workers: int) -> float:
    """Return frames a second of wall time, without the processes' start."""

    def seconds(paths: list[Path]) -> tuple[float, int]:
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        summary = extract(
            paths, out, backend=given.backend, options=options, layout=given.layout, workers=workers, clips_per_shard=16
        )
        return time.perf_counter() - start, summary.frames

    first = sorted(videos.iterdir())[:workers]
    few_seconds, few = seconds(first)
    all_seconds, every = seconds([videos])
    return (every - few) / (all_seconds - few_seconds)


def _options() -> Namespace:
    options = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--videos", type=Path, required=True, help="folder of videos")
    options.add_argument("--copies", type=int, default=4, help="of each video, for the pipeline")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--backend", default="mediapipe")
    options.add_argument("--layout", default="openpose28")
    options.add_argument("--model")
    options.add_argument("--checkpoint")
    options.add_argument("--out", type=Path, default=Path("benchmarks/results/extract.json"))
    return options.parse_args()


if __name__ == "__main__":
    main()
