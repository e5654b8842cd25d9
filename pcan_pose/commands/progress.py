"""Progress of a training run: a bar on a terminal, a line an epoch elsewhere."""

import os
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class EpochProgress:
    """Shows epochs as they end; in a process that is not the first it is silent.

    Args:
        console: Where to show them.
        epochs: How many there are.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.speaks = os.environ.get("RANK", "0") == "0"
        self._console = console
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=console, disable=not (self.speaks and console.is_terminal))
        self._task = self._bar.add_task("", total=epochs)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def epoch(self, epoch: int, epochs: int, losses: dict[str, float]) -> None:
        """Show that an epoch has ended, with its mean losses."""
        text = f"loss {losses['loss']:.4f}  action {losses['action']:.4f}  {losses['seconds']:.1f} s"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=epoch, description=text)
        else:
            self._console.print(f"epoch {epoch}/{epochs}  {text}", highlight=False)
