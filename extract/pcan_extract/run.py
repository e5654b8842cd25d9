"""One run over a plan: what is not finished is extracted, shard after shard, and every input's fate is recorded."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

from rich.console import Console

from pcan_extract.found import Found
from pcan_extract.grouping import GROUP, SINGLE, group_videos
from pcan_extract.inputs import Inputs, VideoInput, overlay_path
from pcan_extract.plan import Plan
from pcan_extract.pool import WorkerDied
from pcan_extract.progress import ProgressReport
from pcan_extract.report import Record, Status, Summary, failures_of, total_found, write_reports
from pcan_extract.staging import Staging
from pcan_extract.worker import DECODED_AHEAD, ExtractTask, Outcome, OverlayTask
from pcan_pose.atomic import remove_half_written
from pcan_pose.errors import ExtractionError, first_names

Task = ExtractTask | OverlayTask
_DIED = "the worker process died on this file, twice (a crash of the decoder or the backend, or too little memory)"


class Engine(Protocol):
    """What runs tasks: `pool.Workers`, or another with its interface."""

    def run(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, list[Outcome] | WorkerDied]]:
        """Return an iterator over tasks and their videos' outcomes, in the order in which the tasks end."""


class Run:
    """One run over a plan.

    Args:
        plan: The plan.
        staging: The folder, and this job's share of it.
        finished: Clips that are finished, with what was found in them.
        inputs: The videos that were given to this run; the plan may have more.
        engine: What runs the tasks.
        in_order: Whether the engine has one worker, which gets the tasks one after the other.
        grouped: Whether a task is several videos, for a backend whose batches go on with the next one.
        console: Where to show progress, or None.
    """

    def __init__(
        self,
        plan: Plan,
        staging: Staging,
        finished: Mapping[str, Found],
        inputs: Inputs,
        engine: Engine,
        *,
        in_order: bool,
        grouped: bool = False,
        console: Console | None,
    ) -> None:
        self._plan = plan
        self._staging = staging
        self._inputs = inputs
        self._engine = engine
        self._in_order = in_order
        self._limits = GROUP if grouped else SINGLE
        self._console = console
        self._shards = staging.shards(plan)
        self._given = {video.clip_id for video in inputs.videos}
        self._records: dict[str, Record] = {}
        for video in (clip.video for clips in self._shards.values() for clip in clips):
            name = video.clip_id
            status: Status = "kept" if name in finished else "waiting"
            if status == "waiting" and name not in self._given and _is_gone(video.path):
                status = "gone"
            self._records[name] = Record(name, str(video.path), status, finished.get(name))
        self._overlays = self._variable = 0
        self._seconds = 0.0

    def notices(self, changed: frozenset[str]) -> list[str]:
        """Return what the user should know before the work begins."""
        share = self._staging.share
        notices = list(self._inputs.notices)
        if not share.whole:
            notices.append(f"shard {share}: {len(self._shards)} of the set's {len(self._plan.shards)} files.")
        if kept := sum(record.status == "kept" for record in self._records.values()):
            notices.append(f"{kept} of {len(self._records)} clips are finished: kept.")
        if changed:
            notices.append(f"{len(changed)} files have changed since they were planned: extracted anew.")
        waiting = [record for record in self._records.values() if record.status == "waiting"]
        if others := sum(record.clip_id not in self._given for record in waiting):
            notices.append(f"{others} unfinished clips of an earlier run are extracted too.")
        if gone := [record.clip_id for record in self._records.values() if record.status == "gone"]:
            notices.append(
                f"unfinished clips of an earlier run whose files are gone are left out: {first_names(gone)}."
            )
        return notices

    def extract(self, dirty: set[int]) -> None:
        """Return nothing; extract what is not finished, and write each shard once all of its clips are settled.

        Args:
            dirty: Shards that staged clips wait for.
        """
        tasks = self._tasks()
        unsettled = Counter(self._shard(video) for task in tasks for video in task.videos)
        for number in sorted(dirty - unsettled.keys()):
            self._staging.assemble(number, self._shards[number])
        start = time.monotonic()
        try:
            with ProgressReport("extract", unsettled.total(), self._console) as progress:
                for task, video, outcome in self._outcomes(tasks):
                    number = self._shard(video)
                    if self._settle(task, video, outcome):
                        dirty.add(number)
                    progress.clip_done(outcome.frames, failed=self._failed(video))
                    unsettled[number] -= 1
                    if not unsettled[number] and number in dirty:
                        self._staging.assemble(number, self._shards[number])
            self._staging.remove_half_written(self._plan)
        finally:
            self._seconds = time.monotonic() - start

    def draw(self, folder: Path) -> None:
        """Return nothing; draw the overlays that are missing, or whose clip this run has extracted."""
        with ProgressReport("overlay", len(self._records), self._console) as progress:
            for task, video, outcome in self._outcomes(self._overlay_tasks(folder)):
                self._overlays += self._settle(task, video, outcome)
                progress.clip_done(outcome.frames, failed=self._failed(video))
        remove_half_written(overlay_path(folder, clip_id) for clip_id in self._records)

    def report(self) -> None:
        """Return nothing; write into the folder what has become of every input so far."""
        write_reports(self._staging.folder, self._staging.share, list(self._records.values()), self._seconds)

    def summary(self, notices: list[str]) -> Summary:
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
            absent=self._inputs.absent,
            unlisted=self._inputs.unlisted,
        )

    def _tasks(self) -> list[ExtractTask]:
        clips = (clip for clips in self._shards.values() for clip in clips)
        waiting = (clip for clip in clips if self._records[clip.video.clip_id].status == "waiting")
        groups = list(group_videos(waiting, self._limits))
        followers = [group[:DECODED_AHEAD] for group in groups[1:]] if self._in_order else []
        return [ExtractTask(group, then) for group, then in zip_longest(groups, followers, fillvalue=())]

    def _outcomes(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, VideoInput, Outcome]]:
        """Return an iterator over tasks, their videos and what became of each.

        Where a process dies over several videos, or while it decodes another one in advance, its videos are tried
        again one by one when all others are done.
        """
        again: list[Task] = []
        for task, outcomes in self._engine.run(iter(tasks)):
            if not isinstance(outcomes, WorkerDied):
                for video, outcome in zip(task.videos, outcomes, strict=True):
                    yield task, video, outcome
            elif isinstance(task, ExtractTask) and (task.then or len(task.videos) > 1):
                again += [ExtractTask((video,)) for video in task.videos]
            else:
                yield task, task.videos[0], Outcome(error=_DIED)
        if again:
            yield from self._outcomes(again)

    def _overlay_tasks(self, folder: Path) -> Iterator[OverlayTask]:
        for shard in self._staging.read_parts(self._plan):
            for clip in shard.clips():
                target = overlay_path(folder, clip.clip_id)
                position = self._plan.position(clip.clip_id)
                extracted = self._records[clip.clip_id].status == "extracted"
                if position is not None and (extracted or not target.exists()):
                    yield OverlayTask(self._plan.clips[position].video, clip, target)

    def _settle(self, task: Task, video: VideoInput, outcome: Outcome) -> bool:
        """Return whether a task has succeeded on a video; record what became of it."""
        if outcome.fatal:
            raise ExtractionError(str(outcome.error))
        record = self._records[video.clip_id]
        # The path stands beside the error in every report.
        error = outcome.error and outcome.error.removeprefix(f"{video.path}: ")
        if isinstance(task, OverlayTask):
            record = replace(record, error=error and f"overlay: {error}")
        else:
            status: Status = "failed" if error else "extracted"
            record = replace(record, status=status, found=outcome.found, error=error)
            self._variable += outcome.variable
        self._records[video.clip_id] = replace(record, seconds=record.seconds + outcome.seconds)
        return error is None

    def _failed(self, video: VideoInput) -> bool:
        return self._records[video.clip_id].error is not None

    def _shard(self, video: VideoInput) -> int:
        position = self._plan.position(video.clip_id)
        assert position is not None
        return self._plan.clips[position].shard


def _is_gone(path: Path) -> bool:
    """Return whether there is no such file; one that cannot be reached at the moment is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
