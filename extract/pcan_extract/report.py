"""What the user sees of a run: progress while it lasts, failures and figures at its end."""

import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pcan_extract.plan import write_json
from pcan_pose.keypoints import KeypointSet

FAILURES_NAME = "failures.json"
"""Name of the failure report, in the folder of the keypoint set; it is there only if inputs failed."""

_HAND_JOINT = re.compile(r"(left|right)_(hand|hand_root|(thumb|index|middle|ring|pinky)_(1|2|3|tip))")
_PLAIN_INTERVAL = 10.0


@dataclass(frozen=True)
class Failure:
    """An input that failed.

    Args:
        clip_id: Its clip id.
        path: The file.
        error: What is wrong.
    """

    clip_id: str
    path: str
    error: str


@dataclass(frozen=True)
class Summary:
    """The figures of a keypoint set and of the run that has just ended.

    Args:
        clips: Clips in the set.
        extracted: Clips that this run added.
        frames: Frames in the set.
        body_frames: Frames in which some body joint of somebody was found.
        hand_frames: Frames in which some hand joint was found; None if the layout has no hands.
        seconds: Wall time of this run's extraction.
        frames_per_second: Frames that this run extracted a second of wall time.
        failures: Inputs that failed, in the plan's order.
        overlays: Overlays that this run drew.
        notices: What else the user should know.
        absent: Files that a label list names and that were not found.
        unlisted: Videos that no label list names.
    """

    clips: int
    extracted: int
    frames: int
    body_frames: int
    hand_frames: int | None
    seconds: float
    frames_per_second: float
    failures: tuple[Failure, ...] = ()
    overlays: int = 0
    notices: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain containers for JSON."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return content | {"failures": [asdict(failure) for failure in self.failures]}

    def to_text(self) -> str:
        """Return the figures as one line."""
        hands = "" if self.hand_frames is None else f", a hand in {_percent(self.hand_frames, self.frames)}"
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return (
            f"{self.clips} clips ({self.extracted} new{failed}), {self.frames} frames, a body in "
            f"{_percent(self.body_frames, self.frames)}{hands}; {self.frames_per_second:.1f} frames/s."
        )


def count_found(shards: Iterable[KeypointSet]) -> tuple[int, int, int, int | None]:
    """Return the numbers of clips, frames, frames with a body and frames with a hand (None if the layout has none).

    Args:
        shards: The set, piece by piece.
    """
    clips = frames = bodies = hands = 0
    has_hands = True
    for shard in shards:
        is_hand = np.array([_HAND_JOINT.fullmatch(joint) is not None for joint in shard.header.skeleton.joints])
        clips += len(shard)
        frames += int(shard.frames.sum())
        bodies += _frames_with(shard, ~is_hand)
        hands += _frames_with(shard, is_hand)
        has_hands = has_hands and bool(is_hand.any())
    return clips, frames, bodies, hands if has_hands else None


def write_failures(folder: Path, failures: Iterable[Failure]) -> None:
    """Return nothing; write the failure report, or remove it where nothing failed."""
    content = [asdict(failure) for failure in failures]
    path = folder / FAILURES_NAME
    if content:
        write_json(path, {"failed": content})
    else:
        path.unlink(missing_ok=True)


class ProgressReport:
    """Progress of one phase: a bar on a terminal, a line every ten seconds elsewhere, nothing without a console.

    Args:
        title: What is done.
        total: Clips.
        console: Where to show it, or None.
    """

    def __init__(self, title: str, total: int, console: Console | None) -> None:
        self._title = title
        self._total = total
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._start = self._last = time.monotonic()
        self._clips = self._frames = self._failed = 0

    def __enter__(self) -> Self:
        if self._console is not None and self._console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rates]} eta"), TimeRemainingColumn())
            self._bar = Progress(TextColumn("{task.description}"), *columns, console=self._console)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total, rates="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def clip_done(self, frames: int, *, failed: bool) -> None:
        """Return nothing; count one more clip."""
        self._clips += 1
        self._frames += frames
        self._failed += failed
        if self._console is None:
            return
        now = time.monotonic()
        elapsed = max(now - self._start, 1e-9)
        rates = f"{self._clips / elapsed:.1f} clips/s, {self._frames / elapsed:.0f} frames/s"
        rates += f", {self._failed} failed" if self._failed else ""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, rates=rates)
        elif now - self._last >= _PLAIN_INTERVAL or self._clips == self._total:
            self._last = now
            eta = elapsed / self._clips * (self._total - self._clips)
            say(self._console, f"{self._title}: {self._clips}/{self._total} clips, {rates}, eta {eta:.0f} s")


def say(console: Console | None, text: str) -> None:
    """Return nothing; show a line as it is: not wrapped, nothing in it taken for markup."""
    if console is not None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _frames_with(shard: KeypointSet, joints: npt.NDArray[np.bool_]) -> int:
    """Return the number of frames in which one of the joints was found on any person."""
    found = (shard.scores[:, joints] > 0).any(1)  # (R,)
    rows = shard.frames * shard.persons
    within = np.arange(len(found)) - np.repeat(shard.offsets[:-1], rows)
    first = np.repeat(np.cumsum(shard.frames) - shard.frames, rows)
    frame = first + within % np.repeat(shard.frames, rows)
    return len(np.unique(frame[found]))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
