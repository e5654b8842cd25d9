"""Finished clips on disk: staged one by one as they come, then put together into shards in the plan's order."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pcan_extract.found import Found, count_found
from pcan_extract.locks import LOCK_NAME
from pcan_extract.plan import Plan, PlannedClip
from pcan_extract.share import EVERYTHING, Share
from pcan_pose.atomic import remove_half_written
from pcan_pose.errors import DataError
from pcan_pose.keypoints import Clip, Header, KeypointSet, read_set, shard_name, write_shard

STAGING_NAME = ".staging"
"""Name of the folder of staged clips, in the folder of the keypoint set."""

_PART = re.compile(r"part-(\d{5,})")


class Staging:
    """The folder of a keypoint set while it is being made.

    Args:
        folder: The keypoint set's folder.
        header: What all shards say of themselves.
        share: The shards that this job makes; the others it leaves alone.
    """

    def __init__(self, folder: Path, header: Header, share: Share = EVERYTHING) -> None:
        self.folder = folder
        self.header = header
        self.share = share

    def shards(self, plan: Plan) -> dict[int, tuple[PlannedClip, ...]]:
        """Return the clips of each shard that this job makes, by its number."""
        return {number: clips for number, clips in plan.shards.items() if self.share.owns(number)}

    def part(self, number: int) -> Path:
        """Return the path of a shard."""
        return self.folder / shard_name(number)

    def staged(self, clip_id: str) -> Path:
        """Return the path that a clip is staged at; a hash, as clip ids hold slashes and may be long."""
        return self.folder / STAGING_NAME / f"{hashlib.sha256(clip_id.encode()).hexdigest()[:32]}.parquet"

    def stage(self, clip: Clip) -> None:
        """Return nothing; store a finished clip, at once or not at all."""
        write_shard(self.staged(clip.clip_id), KeypointSet.from_clips(self.header, [clip]))

    def prepare(self, plan: Plan, forget: Collection[str]) -> tuple[dict[str, Found], set[int]]:
        """Return the clips that are finished, with what was found in them, and the shards that staged clips wait for.

        Removes what is left of a killed run, staged clips that cannot be read, and the clips to forget.

        Args:
            plan: The plan; may hold clips that are new.
            forget: Ids of clips whose stored result is void.

        Raises:
            DataError: If a shard is damaged or does not belong to the plan; all of them are named.
        """
        finished: dict[str, Found] = {}
        dirty: set[int] = set()
        faults = [
            f"{path}: does not belong to this extraction's plan; move it away."
            for path in sorted(self.folder.glob("part-*.parquet"))
            if not (match := _PART.fullmatch(path.stem)) or int(match[1]) not in plan.shards
        ]
        for number, clips in self.shards(plan).items():
            ids = [clip.video.clip_id for clip in clips]
            try:
                stored = self._found(self.part(number))
            except DataError as error:
                faults += [f"{fault} The same command then extracts its clips anew." for fault in error.faults]
                continue
            if stored.keys() - set(ids):
                faults.append(f"{self.part(number)}: holds clips that the plan has not there; delete it and run again.")
            if stored.keys() & set(forget):
                self._write(number, [clip_id for clip_id in ids if clip_id not in forget])
            finished |= {clip_id: found for clip_id, found in stored.items() if clip_id not in forget}
            for clip_id in ids:
                staged = {} if clip_id in forget else self._staged_found(clip_id)
                if staged:
                    finished |= staged
                    dirty.add(number)
                else:
                    self.staged(clip_id).unlink(missing_ok=True)
        if faults:
            raise DataError(*faults)
        self._remove_leftovers(plan)
        return finished, dirty

    def assemble(self, number: int, clips: Sequence[PlannedClip]) -> None:
        """Return nothing; write a shard from its former content and the staged clips, then remove those."""
        self._write(number, [clip.video.clip_id for clip in clips])
        for clip in clips:
            self.staged(clip.video.clip_id).unlink(missing_ok=True)

    def remove_half_written(self, plan: Plan) -> None:
        """Return nothing; remove what workers that died left of this job's clips, once no worker writes any more."""
        remove_half_written(self.staged(clip.video.clip_id) for clips in self.shards(plan).values() for clip in clips)

    def read_parts(self, plan: Plan) -> Iterator[KeypointSet]:
        """Return an iterator over this job's shards that exist, one in memory at a time."""
        for number in self.shards(plan):
            if self.part(number).exists():
                yield read_set(self.part(number))

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

    def _found(self, path: Path) -> dict[str, Found]:
        """Return what was found in each clip of a file; nothing if it does not exist."""
        if not path.exists():
            return {}
        return {clip.clip_id: count_found(clip.scores, self.header.skeleton) for clip in read_set(path).clips()}

    def _staged_found(self, clip_id: str) -> dict[str, Found]:
        """Return what was found in a staged clip; nothing if it is not there, or cannot be read."""
        try:
            found = self._found(self.staged(clip_id))
        except DataError:
            return {}
        return found if list(found) == [clip_id] else {}

    def _remove_leftovers(self, plan: Plan) -> None:
        """Return nothing; remove staged clips that nobody has planned, and half-written files that are not others'."""
        foreign = {number for number in plan.shards if not self.share.owns(number)}
        planned = {self.staged(clip.video.clip_id).stem for clip in plan.clips}
        others = {self.staged(clip.video.clip_id).stem for number in foreign for clip in plan.shards[number]}
        for path in (self.folder / STAGING_NAME).iterdir():
            name = path.name.lstrip(".").partition(".")[0]
            keep = others if path.name.startswith(".") else planned
            if name not in keep and not name.startswith(LOCK_NAME):
                path.unlink()
        others = {shard_name(number).partition(".")[0] for number in foreign}
        for path in self.folder.glob(".part-*.tmp.*"):
            if path.name.lstrip(".").partition(".")[0] not in others:
                path.unlink()
        if self.share.whole:
            for path in self.folder.glob(".*.tmp.json"):
                path.unlink()
