"""Tasks that take turns under torch's timer, and the figures that come of them.

One round runs every task once, so whatever slows the machine down for a while slows all of them. A ratio is taken
within each round, and the median over the rounds is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from torch.utils.benchmark import Measurement, Timer

Work = Callable[[], object]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """Something to time.

    Args:
        name: What the caller calls it.
        work: Does it once; nothing is passed or kept.
        threads: CPU threads that torch may use.
    """

    name: Key
    work: Work
    threads: int = 1


@dataclass(frozen=True)
class Figure:
    """One number of the benchmark.

    Args:
        row: What was measured, such as ``pose`` or ``pose, folded``.
        quantity: What of it, such as ``forward``; empty where the row says it.
        value: The number.
        unit: Its unit.
        precision: fp32 or bf16, where it matters.
        clips: Clips of a batch, N, where it matters.
        frames: Frames of a clip, T, where it matters.
        ratio: How many times better than the baseline encoder in the same run; more is always better, so that of
            memory and of times is the baseline's number over this one.
        gemm_share: Share of the arithmetic that a large matrix product reaches here.
        copy_share: Share of the bytes a second that a large copy moves here.
        ratios: That ratio round by round, where there were rounds.
        details: Further numbers.
    """

    row: str
    quantity: str
    value: float
    unit: str
    precision: str = ""
    clips: int | None = None
    frames: int | None = None
    ratio: float | None = None
    gemm_share: float | None = None
    copy_share: float | None = None
    ratios: list[float] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What makes a figure the same one in another run."""
        return self.row, self.quantity, self.precision, self.clips, self.frames

    @property
    def name(self) -> str:
        """The figure's name for people."""
        sizes = [f"N {self.clips}" if self.clips else "", f"T {self.frames}" if self.frames else ""]
        return ", ".join(part for part in (self.row, self.quantity, self.precision, *sizes) if part)


class Timings:
    """What tasks took, round by round.

    Args:
        measurements: For each task one measurement a round.
    """

    def __init__(self, measurements: dict[Key, list[Measurement]]) -> None:
        self._measurements = measurements

    def rounds(self, name: Key) -> list[float]:
        """Return the seconds of a task, the median of each round."""
        return [measurement.median for measurement in self._measurements[name]]

    def seconds(self, name: Key) -> float:
        """Return the seconds of a task, the median over the rounds."""
        return median(self.rounds(name))

    def times(self, name: Key) -> list[float]:
        """Return the seconds of every single run of a task."""
        return [seconds for measurement in self._measurements[name] for seconds in measurement.times]

    def ratio(self, baseline: Key, name: Key) -> float:
        """Return how many times less time a task takes than the baseline, the median over the rounds."""
        return median(self.ratios(baseline, name))

    def ratios(self, baseline: Key, name: Key) -> list[float]:
        """Return how many times less time a task takes than the baseline, round by round."""
        pairs = zip(self.rounds(baseline), self.rounds(name), strict=True)
        return [reference / own for reference, own in pairs]


def take_turns(tasks: Sequence[Task], *, rounds: int, min_seconds: float = 0.1) -> Timings:
    """Return the timings of tasks that run in turn; a GPU is waited for.

    In its turn a task runs once to warm up, and then for at least `min_seconds` and at least once.

    Args:
        tasks: What to time; names are unique.
        rounds: How often each has its turn.
        min_seconds: Shortest time of a turn.
    """
    timers = {
        task.name: Timer("work()", globals={"work": task.work}, num_threads=task.threads, label=" ".join(task.name))
        for task in tasks
    }
    measurements: dict[Key, list[Measurement]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            measurements[name].append(timer.blocked_autorange(min_run_time=min_seconds))
    return Timings(measurements)
