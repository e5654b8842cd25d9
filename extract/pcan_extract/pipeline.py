"""Many videos to one keypoint set: several processes, resumable, the same bytes however often it was interrupted."""

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from pcan_extract.backends import PoseBackend, create_backend
from pcan_extract.inputs import Inputs, find_inputs, read_label_list
from pcan_extract.plan import PLAN_NAME, Plan, PlannedClip, extend_plan, load_plan, save_plan
from pcan_extract.pool import WorkerDied, Workers
from pcan_extract.report import Failure, ProgressReport, Summary, count_found, say, write_failures
from pcan_extract.staging import Staging
from pcan_extract.worker import ExtractTask, Outcome, OverlayTask, run_task, start_worker
from pcan_pose.errors import ConfigError, DataError, ExtractionError
from pcan_pose.keypoints import Header
from pcan_pose.skeleton import map_layout, skeleton
from pcan_pose.taxonomy import MA52, Taxonomy

_log = logging.getLogger(__name__)
_DIED = "the worker process died on this file, twice (a crash of the decoder or the backend, or too little memory)"


def extract(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    backend: str | PoseBackend = "mediapipe",
    layout: str = "openpose28",
    labels: Sequence[str] = (),
    taxonomy: Taxonomy | None = None,
    overlay: str | Path | None = None,
    workers: int | None = None,
    clips_per_shard: int = 256,
    console: Console | None = None,
) -> Summary:
    """Return the figures of a keypoint set after extracting videos into it.

    Run again on the same folder, it goes on where it stopped: clips that are finished are kept, failed ones are tried
    again, new videos are added behind the others. Runs on the program's main module being importable, as it starts
    processes: call it below ``if __name__ == "__main__":``.

    Args:
        paths: Videos and folders of videos.
        out: Folder of the keypoint set: new, empty, or of an earlier extraction with the same settings.
        backend: A backend's name, or a backend that is not yet entered.
        layout: Layout of the set, a key of `SKELETONS`.
        labels: Label lists, as paths or ``SPLIT=PATH``.
        taxonomy: The labels' tree; MA-52's if there are lists and it is None.
        overlay: Folder for an MP4 of each clip with its skeleton, or None.
        workers: Processes, >= 1; None for one a CPU.
        clips_per_shard: Clips in one shard, >= 1.
        console: Where to show progress, or None.

    Raises:
        ConfigError: If an option is out of range or differs from those that the folder was begun with.
        DataError: If paths, label lists or the folder cannot be used as they are.
        SkeletonError: If the layout is unknown or the backend's cannot be mapped onto it.
        MissingDependencyError: If the backend's packages are not installed.
        ExtractionError: If the backend cannot be loaded, or another process works on the folder.
    """
    out = Path(out)
    count = _available_cpus() if workers is None else workers
    limits = (("workers", count), ("clips per shard", clips_per_shard))
    faults = [f"{name} must be at least 1, got {value}." for name, value in limits if value < 1]
    if faults:
        raise ConfigError(*faults)
    if overlay is not None:
        _check_overlay(Path(overlay), paths)
    estimator = create_backend(backend) if isinstance(backend, str) else backend
    _check_layout(estimator, layout)
    taxonomy = MA52 if labels and taxonomy is None else taxonomy
    inputs = _read_inputs(paths, labels, taxonomy)
    extra = {"backend": estimator.name, **{f"backend.{key}": value for key, value in estimator.settings.items()}}
    header = Header(layout=layout, dims=2, estimator=estimator.estimator, taxonomy=taxonomy, extra=extra)
    _check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    staging = Staging(out, header, clips_per_shard)
    with staging.locked():
        old = load_plan(out) if (out / PLAN_NAME).exists() else Plan(_settings(header, clips_per_shard))
        plan, changed = extend_plan(old, _settings(header, clips_per_shard), inputs.videos)
        # The results of changed files are dropped before the plan says that it knows of the change.
        finished, dirty = staging.prepare(plan, changed)
        save_plan(out, plan)
        run = _Run(plan, staging, estimator, count, console)
        for notice in run.notices(inputs, finished, changed):
            _log.info(notice)
            say(console, notice)
        try:
            run.extract(finished, dirty)
            if overlay is not None:
                run.draw(Path(overlay))
        finally:
            write_failures(out, run.sorted_failures())
        summary = run.summary(inputs)
        staging.close()
    return summary


class _Run:
    """One run over a plan."""

    def __init__(
        self, plan: Plan, staging: Staging, backend: PoseBackend, workers: int, console: Console | None
    ) -> None:
        self._plan = plan
        self._staging = staging
        self._workers = Workers(run_task, workers, start_worker, (backend, staging))
        self._console = console
        self._failures: dict[str, Failure] = {}
        self._notices: list[str] = []
        self._extracted: set[str] = set()
        self._frames = self._overlays = 0
        self._seconds = 0.0

    def notices(self, inputs: Inputs, finished: set[str], changed: frozenset[str]) -> list[str]:
        """Return what the user should know before the work begins."""
        self._notices += inputs.notices
        if finished:
            self._notices.append(f"{len(finished)} of {len(self._plan.clips)} clips are finished: kept.")
        if changed:
            self._notices.append(f"{len(changed)} files have changed since they were planned: extracted anew.")
        given = {video.clip_id for video in inputs.videos}
        others = sum(clip.video.clip_id not in given | finished for clip in self._plan.clips)
        if others:
            self._notices.append(f"{others} unfinished clips of an earlier run are extracted too.")
        return self._notices

    def extract(self, finished: set[str], dirty: set[int]) -> None:
        """Return nothing; extract what is not finished, and write each shard once all of its clips are settled."""
        size = self._staging.clips_per_shard
        todo = [clip for clip in self._plan.clips if clip.video.clip_id not in finished]
        slots = dict(self._staging.slots(self._plan))
        unsettled = Counter((self._position(clip) // size) for clip in todo)
        for number in sorted(dirty - unsettled.keys()):
            self._staging.assemble(number, slots[number])
        start = time.monotonic()
        variable = 0
        with ProgressReport("extract", len(todo), self._console) as progress:
            for task, outcome in self._workers.run([ExtractTask(clip.video) for clip in todo]):
                clip_id = task.video.clip_id
                number = (self._plan.position(clip_id) or 0) // size
                if self._settle(task, outcome, ""):
                    self._extracted.add(clip_id)
                    dirty.add(number)
                    variable += isinstance(outcome, Outcome) and outcome.variable
                progress.clip_done(_frames(outcome), failed=clip_id in self._failures)
                self._frames += _frames(outcome)
                unsettled[number] -= 1
                if not unsettled[number] and number in dirty:
                    self._staging.assemble(number, slots[number])
        self._seconds = time.monotonic() - start
        if variable:
            self._notices.append(f"{variable} videos have a variable frame rate: their average is stored.")

    def draw(self, folder: Path) -> None:
        """Return nothing; draw the overlays that are missing, or whose clip this run has extracted."""
        with ProgressReport("overlay", len(self._plan.clips), self._console) as progress:
            for task, outcome in self._workers.run(self._overlay_tasks(folder)):
                self._overlays += self._settle(task, outcome, "overlay: ")
                progress.clip_done(_frames(outcome), failed=task.video.clip_id in self._failures)

    def summary(self, inputs: Inputs) -> Summary:
        """Return the figures of the set as it lies on disk, and of this run."""
        clips, frames, bodies, hands = count_found(self._staging.read_parts(self._plan))
        return Summary(
            clips=clips,
            extracted=len(self._extracted),
            frames=frames,
            body_frames=bodies,
            hand_frames=hands,
            seconds=self._seconds,
            frames_per_second=self._frames / self._seconds if self._seconds else 0.0,
            failures=self.sorted_failures(),
            overlays=self._overlays,
            notices=tuple(self._notices),
            absent=inputs.absent,
            unlisted=inputs.unlisted,
        )

    def sorted_failures(self) -> tuple[Failure, ...]:
        """Return the failures in the plan's order."""
        return tuple(sorted(self._failures.values(), key=lambda failure: self._plan.position(failure.clip_id) or 0))

    def _position(self, clip: PlannedClip) -> int:
        return self._plan.position(clip.video.clip_id) or 0

    def _overlay_tasks(self, folder: Path) -> Iterator[ExtractTask | OverlayTask]:
        for shard in self._staging.read_parts(self._plan):
            for clip in shard.clips():
                target = folder / f"{clip.clip_id}.mp4"
                position = self._plan.position(clip.clip_id)
                if position is not None and (clip.clip_id in self._extracted or not target.exists()):
                    yield OverlayTask(self._plan.clips[position].video, clip, target)

    def _settle(self, task: ExtractTask | OverlayTask, outcome: Outcome | WorkerDied, prefix: str) -> bool:
        """Return whether a task has succeeded; keep its failure if not."""
        error = _DIED if isinstance(outcome, WorkerDied) else outcome.error
        if error is None:
            return True
        if isinstance(outcome, Outcome) and outcome.fatal:
            raise ExtractionError(error)
        # The path stands beside the error in every report.
        error = prefix + error.removeprefix(f"{task.video.path}: ")
        self._failures[task.video.clip_id] = Failure(task.video.clip_id, str(task.video.path), error)
        return False


def _available_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _frames(outcome: Outcome | WorkerDied) -> int:
    return outcome.frames if isinstance(outcome, Outcome) else 0


def _settings(header: Header, clips_per_shard: int) -> Mapping[str, str]:
    tree = header.taxonomy
    digest = hashlib.sha256(tree.to_json().encode()).hexdigest()[:8] if tree else ""
    return {
        "layout": header.layout,
        "estimator": header.estimator,
        **header.extra,
        "taxonomy": f"{tree.name} {digest}" if tree else "none",
        "clips_per_shard": str(clips_per_shard),
    }


def _read_inputs(paths: Sequence[str | Path], labels: Sequence[str], taxonomy: Taxonomy | None) -> Inputs:
    faults: list[str] = []
    lists = []
    for argument in labels:
        try:
            lists.append(read_label_list(argument, taxonomy or MA52))
        except DataError as error:
            faults += error.faults
    try:
        inputs = find_inputs([Path(path) for path in paths], lists, taxonomy)
    except DataError as error:
        raise DataError(*faults, *error.faults) from error
    if faults:
        raise DataError(*faults)
    return inputs


def _check_layout(backend: PoseBackend, layout: str) -> None:
    skeleton(layout)
    joints = skeleton(backend.layout).num_joints
    map_layout(np.zeros((joints, 2), np.float32), np.zeros(joints, np.float32), backend.layout, layout)


def _check_overlay(overlay: Path, paths: Sequence[str | Path]) -> None:
    for path in map(Path, paths):
        if path.is_dir() and overlay.resolve().is_relative_to(path.resolve()):
            raise ConfigError(
                f"{overlay}: overlays below the input folder {path} would be inputs of the next run; "
                "name another folder."
            )


def _check_folder(out: Path) -> None:
    try:
        names = [path.name for path in out.iterdir()] if out.exists() else []
    except NotADirectoryError as error:
        raise DataError(f"{out}: is a file; name a folder for the keypoint set.") from error
    if PLAN_NAME not in names and any(not name.startswith(".") for name in names):
        raise DataError(
            f"{out}: holds files but no {PLAN_NAME}, so it is no extraction to go on with; name another folder."
        )
