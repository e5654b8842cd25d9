"""Progress of a run while it lasts."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_PLAIN_INTERVAL = 10.0


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
