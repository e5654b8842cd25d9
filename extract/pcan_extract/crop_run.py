"""Many videos to one cache of crops: several processes, resumable, the same bytes however many there are."""

import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from pcan_extract.crop_checks import FAILURES_NAME, STAGING_NAME, check_crop_folder, check_room, check_stored
from pcan_extract.cropping import CropClip, crop_video
from pcan_extract.locks import FolderLock
from pcan_extract.plan import write_json
from pcan_extract.pool import WorkerDied, Workers
from pcan_extract.progress import ProgressReport
from pcan_extract.share import EVERYTHING
from pcan_extract.worker import write_fault
from pcan_pose.atomic import save_array
from pcan_pose.crop_cache import CropRecord, CropSettings, read_shards, write_crops
from pcan_pose.errors import ExtractionError, PcanError

CLIPS_PER_SHARD = 64
"""Clips in a full shard; with the default settings it takes 308 MB."""


@dataclass(frozen=True)
class CropSummary:
    """The figures of a cache and of the run that has just ended.

    Args:
        clips: Clips that were asked for and are in the cache.
        added: Clips that this run added.
        pictures: Pictures that this run added.
        seconds: Wall time of this run.
        resampled: Ids of added clips whose videos have another number of frames than their keypoints.
        failures: What is wrong with each clip that failed, by clip id, in the clips' order.
    """

    clips: int
    added: int
    pictures: int
    seconds: float
    resampled: tuple[str, ...]
    failures: Mapping[str, str]


def build_crops(
    clips: Sequence[CropClip],
    out: Path,
    settings: CropSettings,
    *,
    workers: int,
    clips_per_shard: int = CLIPS_PER_SHARD,
    console: Console | None = None,
) -> CropSummary:
    """Return the figures of a cache after cutting clips into it.

    Run again on the same folder, it goes on where it stopped: finished shards are kept, failed clips tried again, new
    ones added. A kill costs the shards that were under way. Starts processes: call it below
    ``if __name__ == "__main__":``.

    Args:
        clips: The clips, in their order.
        out: Folder of the cache: new, empty, or of an earlier run with the same settings.
        settings: What decides the pictures.
        workers: Processes, >= 1.
        clips_per_shard: Clips in one shard, >= 1.
        console: Where to show progress, or None.

    Raises:
        ConfigError: If the settings differ from those that the folder was begun with.
        DataError: If the folder holds something else, or crops of other boxes or videos.
        ExtractionError: If another process works on the folder, or it cannot be written or has too little room.
    """
    check_crop_folder(out)
    try:
        with FolderLock(out / STAGING_NAME, EVERYTHING):
            shards = read_shards(out)
            check_stored(shards, clips, out, settings)
            _remove_leftovers(out, {shard.number for shard in shards})
            stored = {name for shard in shards for name in shard.table["clip_id"].to_pylist()}
            waiting = [clip for clip in clips if clip.clip_id not in stored]
            # Those that failed before come last, apart: the others then fall into the shards of an undisturbed run.
            late = {name for shard in shards for name in shard.failed}
            chunks = [
                chunk
                for again in (False, True)
                for chunk in _chunks([clip for clip in waiting if (clip.clip_id in late) is again], clips_per_shard)
            ]
            check_room(waiting, out, settings, console)
            run = _Run(chunks, out, settings, {shard.number for shard in shards})
            start = time.monotonic()
            try:
                run.run(workers, console)
            finally:
                shutil.rmtree(run.staging, ignore_errors=True)
            failures = {clip.clip_id: run.failures[clip.clip_id] for clip in clips if clip.clip_id in run.failures}
            _write_failures(out, clips, failures)
    except OSError as error:
        if text := write_fault(error, out):
            raise ExtractionError(text) from error
        raise
    done = [(clip, run.records[clip.clip_id]) for clip in waiting if clip.clip_id in run.records]
    return CropSummary(
        clips=len(clips) - len(failures),
        added=len(done),
        pictures=sum(len(record.positions) for _, record in done),
        seconds=time.monotonic() - start,
        resampled=tuple(clip.clip_id for clip, record in done if record.frames != clip.frames),
        failures=failures,
    )


@dataclass(frozen=True)
class _Task:
    """Cut a clip and stage its pictures, as the given one of a shard."""

    clip: CropClip
    shard: int
    place: int

    def staged(self, folder: Path) -> Path:
        """Return the path of the pictures until their shard is written."""
        return folder / f"{self.shard:05d}-{self.place:05d}.npy"


@dataclass(frozen=True)
class _Outcome:
    """What is stored of a clip, or what is wrong; a fatal error is the folder's and thus concerns every clip."""

    record: CropRecord | None = None
    error: str = ""
    fatal: bool = False


class _Run:
    """What one run cuts out, shard after shard."""

    def __init__(
        self, chunks: Sequence[Sequence[CropClip]], out: Path, settings: CropSettings, taken: set[int]
    ) -> None:
        numbers = [number for number in range(len(taken) + len(chunks)) if number not in taken]
        self._shards = {
            number: [_Task(clip, number, place) for place, clip in enumerate(chunk)]
            for number, chunk in zip(numbers, chunks, strict=False)
        }
        self._out = out
        self._settings = settings
        self.staging = out / STAGING_NAME / "clips"
        self.records: dict[str, CropRecord] = {}
        self.failures: dict[str, str] = {}

    def run(self, workers: int, console: Console | None) -> None:
        """Return nothing; cut out every clip, and write each shard once all of its clips are settled."""
        tasks = [task for shard in self._shards.values() for task in shard]
        if not tasks:
            return
        progress = ProgressReport("crops", len(tasks), console)
        unsettled = {number: len(shard) for number, shard in self._shards.items()}
        # Closed at once, as an error's traceback would keep the processes at work.
        with closing(self._outcomes(tasks, min(workers, len(tasks)))) as outcomes, progress:
            for task, outcome in outcomes:
                clip_id = task.clip.clip_id
                if outcome.record is not None:
                    self.records[clip_id] = outcome.record
                elif outcome.fatal:
                    raise ExtractionError(outcome.error)
                else:
                    # The path stands beside the error in every report.
                    self.failures[clip_id] = outcome.error.removeprefix(f"{task.clip.path}: ")
                pictures = len(outcome.record.positions) if outcome.record else 0
                progress.clip_done(pictures, failed=outcome.record is None)
                unsettled[task.shard] -= 1
                if not unsettled[task.shard]:
                    self._write(task.shard)

    def _outcomes(self, tasks: Sequence[_Task], workers: int) -> Generator[tuple[_Task, _Outcome], None, None]:
        pool = Workers(_run_task, workers, _start_worker, (self._settings, self.staging))
        for task, outcome in pool.run(tasks):
            if isinstance(outcome, WorkerDied):
                outcome = _Outcome(error="the worker process died on this file, twice (a crash, or too little memory).")
            yield task, outcome

    def _write(self, number: int) -> None:
        done = [task for task in self._shards[number] if task.clip.clip_id in self.records]
        failed = [task.clip.clip_id for task in self._shards[number] if task.clip.clip_id in self.failures]
        if done:
            records = [self.records[task.clip.clip_id] for task in done]
            pictures = (np.load(task.staged(self.staging)) for task in done)
            write_crops(self._out, number, self._settings, records, pictures, failed)
        for task in done:
            task.staged(self.staging).unlink()


def _chunks(clips: Sequence[CropClip], size: int) -> list[Sequence[CropClip]]:
    return [clips[start : start + size] for start in range(0, len(clips), size)]


_settings: CropSettings
_staging: Path


def _start_worker(settings: CropSettings, staging: Path) -> None:
    global _settings, _staging
    _settings, _staging = settings, staging


def _run_task(task: _Task) -> _Outcome:
    """Return how a clip ended; a video's fault is an outcome, not an exception."""
    try:
        pictures, record = crop_video(task.clip, _settings)
        save_array(task.staged(_staging), pictures)
        return _Outcome(record)
    except PcanError as error:
        return _Outcome(error=" ".join(error.faults))
    except Exception as error:
        if text := write_fault(error, _staging.parent.parent):
            return _Outcome(error=text, fatal=True)
        return _Outcome(error=f"unexpected {type(error).__name__}: {error}; report this.")


def _remove_leftovers(out: Path, finished: set[int]) -> None:
    """Return nothing; remove what a killed run has left."""
    shutil.rmtree(out / STAGING_NAME / "clips", ignore_errors=True)
    known = {f"part-{number:05d}.npy" for number in finished}
    unfinished = {path for path in out.glob("part-*.npy") if path.name not in known}
    for path in unfinished | set(out.glob(".*.tmp.*")):
        path.unlink()


def _write_failures(out: Path, clips: Sequence[CropClip], failures: Mapping[str, str]) -> None:
    """Return nothing; write which videos failed, or remove the file where none did."""
    content = [
        {"clip_id": clip.clip_id, "path": clip.path and str(clip.path), "error": failures[clip.clip_id]}
        for clip in clips
        if clip.clip_id in failures
    ]
    if content:
        write_json(out / FAILURES_NAME, {"failed": content})
    else:
        (out / FAILURES_NAME).unlink(missing_ok=True)
