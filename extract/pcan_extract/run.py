"""One run over a plan: what is not finished is extracted, shard after shard, and every input's fate is recorded."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

from rich.console import Console

from pcan_extract.found import Found
from pcan_extract.inputs import Inputs
from pcan_extract.plan import Plan
from pcan_extract.pool import WorkerDied
from pcan_extract.progress import ProgressReport
from pcan_extract.report import Record, Status, Summary, failures_of, total_found, write_reports
from pcan_extract.staging import Staging
from pcan_extract.worker import ExtractTask, Outcome, OverlayTask
from pcan_pose.errors import ExtractionError

Task = ExtractTask | OverlayTask
_DIED = "the worker process died on this file, twice (a crash of the decoder or the backend, or too little memory)"


class Engine(Protocol):
    """What runs tasks: `pool.Workers`, or another with its interface."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Outcome | WorkerDied]]:
        """Return an iterator over tasks and their outcomes, in the order in which they end."""


class Run:
    """One run over a plan.

    Args:
        plan: The plan.
        staging: The folder, and this job's share of it.
        finished: Clips that are finished, with what was found in them.
        engine: What runs the tasks.
        in_order: Whether the engine has one worker, which gets the tasks one after the other.
        console: Where to show progress, or None.
    """

    def __init__(
        self,
        plan: Plan,
        staging: Staging,
        finished: Mapping[str, Found],
        engine: Engine,
        *,
        in_order: bool,
        console: Console | None,
    ) -> None:
        self._plan = plan
        self._staging = staging
        self._engine = engine
        self._in_order = in_order
        self._console = console
        self._shards = staging.shards(plan)
        self._records = {
            (name := clip.video.clip_id): Record(
                name, str(clip.video.path), "kept" if name in finished else "waiting", finished.get(name)
            )
            for clips in self._shards.values()
            for clip in clips
        }
        self._overlays = self._variable = 0
        self._seconds = 0.0

    def notices(self, inputs: Inputs, changed: frozenset[str]) -> list[str]:
        """Return what the user should know before the work begins."""
        share = self._staging.share
        notices = list(inputs.notices)
        if not share.whole:
            notices.append(f"shard {share}: {len(self._shards)} of the set's {len(self._plan.shards)} files.")
        if kept := sum(record.status == "kept" for record in self._records.values()):
            notices.append(f"{kept} of {len(self._records)} clips are finished: kept.")
        if changed:
            notices.append(f"{len(changed)} files have changed since they were planned: extracted anew.")
        given = {video.clip_id for video in inputs.videos}
        waiting = [record for record in self._records.values() if record.status == "waiting"]
        if others := sum(record.clip_id not in given for record in waiting):
            notices.append(f"{others} unfinished clips of an earlier run are extracted too.")
        return notices

    def extract(self, dirty: set[int]) -> None:
        """Return nothing; extract what is not finished, and write each shard once all of its clips are settled.

        Args:
            dirty: Shards that staged clips wait for.
        """
        tasks = self._tasks()
        unsettled = Counter(self._shard(task.video.clip_id) for task in tasks)
        for number in sorted(dirty - unsettled.keys()):
            self._staging.assemble(number, self._shards[number])
        start = time.monotonic()
        try:
            with ProgressReport("extract", len(tasks), self._console) as progress:
                for task, outcome in self._engine.run(iter(tasks)):
                    number = self._shard(task.video.clip_id)
                    if self._settle(task, outcome):
                        dirty.add(number)
                    progress.clip_done(_frames(outcome), failed=self._failed(task))
                    unsettled[number] -= 1
                    if not unsettled[number] and number in dirty:
                        self._staging.assemble(number, self._shards[number])
        finally:
            self._seconds = time.monotonic() - start

    def draw(self, folder: Path) -> None:
        """Return nothing; draw the overlays that are missing, or whose clip this run has extracted."""
        with ProgressReport("overlay", len(self._records), self._console) as progress:
            for task, outcome in self._engine.run(self._overlay_tasks(folder)):
                self._overlays += self._settle(task, outcome)
                progress.clip_done(_frames(outcome), failed=self._failed(task))

    def report(self) -> None:
        """Return nothing; write into the folder what has become of every input so far."""
        write_reports(self._staging.folder, self._staging.share, list(self._records.values()), self._seconds)

    def summary(self, inputs: Inputs, notices: list[str]) -> Summary:
        """Return the figures of the set, of which this job's share lies on disk, and of this run."""
        records = self._records.values()
        found = total_found(records)
        new = [record for record in records if record.status == "extracted"]
        if self._variable:
            notices = [*notices, f"{self._variable} videos have a variable frame rate: their average is stored."]
        return Summary(
            clips=sum(record.found is not None for record in records),
            extracted=len(new),
            frames=found.frames,
            body_frames=found.body,
            hand_frames=found.hand,
            seconds=self._seconds,
            frames_per_second=total_found(new).frames / self._seconds if new else 0.0,
            failures=failures_of(records),
            overlays=self._overlays,
            notices=tuple(notices),
            absent=inputs.absent,
            unlisted=inputs.unlisted,
        )

    def _tasks(self) -> list[ExtractTask]:
        videos = [clip.video for clips in self._shards.values() for clip in clips]
        waiting = [video for video in videos if self._records[video.clip_id].status == "waiting"]
        followers = waiting[1:] if self._in_order else []
        return [ExtractTask(video, then) for video, then in zip_longest(waiting, followers)]

    def _overlay_tasks(self, folder: Path) -> Iterator[OverlayTask]:
        for shard in self._staging.read_parts(self._plan):
            for clip in shard.clips():
                target = folder / f"{clip.clip_id}.mp4"
                position = self._plan.position(clip.clip_id)
                extracted = self._records[clip.clip_id].status == "extracted"
                if position is not None and (extracted or not target.exists()):
                    yield OverlayTask(self._plan.clips[position].video, clip, target)

    def _settle(self, task: Task, outcome: Outcome | WorkerDied) -> bool:
        """Return whether a task has succeeded; record what became of its input."""
        if isinstance(outcome, WorkerDied):
            outcome = Outcome(error=_DIED)
        if outcome.fatal:
            raise ExtractionError(str(outcome.error))
        record = self._records[task.video.clip_id]
        # The path stands beside the error in every report.
        error = outcome.error and outcome.error.removeprefix(f"{task.video.path}: ")
        if isinstance(task, OverlayTask):
            record = replace(record, error=error and f"overlay: {error}")
        else:
            status: Status = "failed" if error else "extracted"
            record = replace(record, status=status, found=outcome.found, error=error)
            self._variable += outcome.variable
        self._records[task.video.clip_id] = replace(record, seconds=record.seconds + outcome.seconds)
        return error is None

    def _failed(self, task: Task) -> bool:
        return self._records[task.video.clip_id].error is not None

    def _shard(self, clip_id: str) -> int:
        position = self._plan.position(clip_id)
        assert position is not None
        return self._plan.clips[position].shard


def _frames(outcome: Outcome | WorkerDied) -> int:
    return outcome.frames if isinstance(outcome, Outcome) else 0
