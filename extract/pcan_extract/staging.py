"""Finished clips on disk: staged one by one as they come, then put together into shards in the plan's order."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pcan_extract.plan import Plan, PlannedClip
from pcan_pose.errors import DataError, ExtractionError
from pcan_pose.keypoints import Clip, Header, KeypointSet, read_set, shard_name, write_shard

STAGING_NAME = ".staging"
"""Name of the folder of staged clips, in the folder of the keypoint set."""

_PART = re.compile(r"part-(\d{5,})\.parquet")


class Staging:
    """The folder of a keypoint set while it is being made.

    Args:
        folder: The keypoint set's folder.
        header: What all shards say of themselves.
        clips_per_shard: Clips in a full shard, >= 1.
    """

    def __init__(self, folder: Path, header: Header, clips_per_shard: int) -> None:
        self.folder = folder
        self.header = header
        self.clips_per_shard = clips_per_shard

    def slots(self, plan: Plan) -> Iterator[tuple[int, Sequence[PlannedClip]]]:
        """Return an iterator over the shards' numbers and the clips that belong into each."""
        for number, start in enumerate(range(0, len(plan.clips), self.clips_per_shard)):
            yield number, plan.clips[start : start + self.clips_per_shard]

    def part(self, number: int) -> Path:
        """Return the path of a shard."""
        return self.folder / shard_name(number)

    def staged(self, clip_id: str) -> Path:
        """Return the path that a clip is staged at; a hash, as clip ids hold slashes and may be long."""
        return self.folder / STAGING_NAME / f"{hashlib.sha256(clip_id.encode()).hexdigest()[:32]}.parquet"

    def stage(self, clip: Clip) -> None:
        """Return nothing; store a finished clip, at once or not at all."""
        write_shard(self.staged(clip.clip_id), KeypointSet.from_clips(self.header, [clip]))

    def prepare(self, plan: Plan, forget: Collection[str]) -> tuple[set[str], set[int]]:
        """Return the ids of clips that are finished, and the shards that staged clips wait for.

        Removes what is left of a killed run, staged clips that cannot be read, and the clips to forget.

        Args:
            plan: The plan; may hold clips that are new.
            forget: Ids of clips whose stored result is void.

        Raises:
            DataError: If a shard is damaged or does not belong to the plan; all of them are named.
        """
        folder = self.folder / STAGING_NAME
        folder.mkdir(parents=True, exist_ok=True)
        finished: set[str] = set()
        dirty: set[int] = set()
        faults = [
            f"{path}: does not belong to this extraction's plan; move it away."
            for path in sorted(self.folder.glob("part-*.parquet"))
            if not (match := _PART.fullmatch(path.name)) or int(match[1]) * self.clips_per_shard >= len(plan.clips)
        ]
        expected: set[Path] = set()
        for number, clips in self.slots(plan):
            ids = [clip.video.clip_id for clip in clips]
            try:
                stored = set(read_set(self.part(number)).clip_ids) if self.part(number).exists() else set()
            except DataError as error:
                faults += [f"{fault} The same command then extracts its clips anew." for fault in error.faults]
                continue
            if stored - set(ids):
                faults.append(f"{self.part(number)}: holds clips that the plan has not there; delete it and run again.")
            if stored & set(forget):
                self._write(number, [clip_id for clip_id in ids if clip_id not in forget])
            finished |= stored - set(forget)
            for clip_id in ids:
                staged = self.staged(clip_id)
                if staged.exists() and (clip_id in forget or not self._readable(staged)):
                    staged.unlink()
                if staged.exists():
                    expected.add(staged)
                    finished.add(clip_id)
                    dirty.add(number)
        if faults:
            raise DataError(*faults)
        half_written = {path for path in self.folder.glob(".*.tmp.*") if path.is_file()}
        for path in (set(folder.iterdir()) - expected - {folder / "lock"}) | half_written:
            path.unlink()
        return finished, dirty

    def assemble(self, number: int, clips: Sequence[PlannedClip]) -> None:
        """Return nothing; write a shard from its former content and the staged clips, then remove those."""
        self._write(number, [clip.video.clip_id for clip in clips])
        for clip in clips:
            self.staged(clip.video.clip_id).unlink(missing_ok=True)

    def read_parts(self, plan: Plan) -> Iterator[KeypointSet]:
        """Return an iterator over the shards that exist, one in memory at a time."""
        for number, _ in self.slots(plan):
            if self.part(number).exists():
                yield read_set(self.part(number))

    def close(self) -> None:
        """Return nothing; remove the staging folder if nothing is staged."""
        folder = self.folder / STAGING_NAME
        with suppress(OSError):
            (folder / "lock").unlink(missing_ok=True)
            folder.rmdir()

    def _write(self, number: int, clip_ids: Sequence[str]) -> None:
        path = self.part(number)
        found = {clip.clip_id: clip for clip in read_set(path).clips()} if path.exists() else {}
        for clip_id in clip_ids:
            if self.staged(clip_id).exists():
                found[clip_id] = read_set(self.staged(clip_id)).clip(0)
        clips = [found[clip_id] for clip_id in clip_ids if clip_id in found]
        if clips:
            write_shard(path, KeypointSet.from_clips(self.header, clips))
        else:
            path.unlink(missing_ok=True)

    def _readable(self, path: Path) -> bool:
        try:
            return len(read_set(path)) == 1
        except DataError:
            return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Return a context in which no other process extracts into this folder; it ends with the process at the latest.

        Raises:
            ExtractionError: If another process does. Where the system has no file locks (Windows), it is not checked.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        path = self.folder / STAGING_NAME / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                text = f"{self.folder}: another process extracts into this folder; wait for it."
                raise ExtractionError(text) from error
            yield
