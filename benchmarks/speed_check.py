"""Whether something became slower since the last recorded run.

Times differ from machine to machine and from day to day; compared are the ratios to the baseline encoder in the same
run, and these too move: something slower than recorded has lost more than a share by its median, and by more than the
rounds differ among themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

from scipy.stats import mannwhitneyu

from benchmarks.speed_file import Group
from benchmarks.speed_timing import Figure
from pcan_pose.errors import DataError

# What decides whether two ratios mean the same thing.
_MUST_AGREE = ("device", "threads", "quick")
# Five rounds that are all below five others come by chance once in 252 times.
_CHANCE = 0.01


@dataclass(frozen=True)
class Lost:
    """A figure that got worse.

    Args:
        group: Its group.
        name: Its name.
        before: The recorded ratio to the baseline encoder.
        now: The ratio now.
    """

    group: str
    name: str
    before: float
    now: float

    def __str__(self) -> str:
        return f"{self.group}: {self.name}: {self.before:.3g} -> {self.now:.3g} ({self.now / self.before - 1:+.0%})"


def lost(measured: Mapping[str, Group], recorded: Mapping[str, Group], most: float) -> list[Lost]:
    """Return the figures whose ratio to the baseline encoder fell by more than a share, and not by chance, worst first.

    Args:
        measured: Groups of this run.
        recorded: Groups of the recorded one.
        most: The share that may be lost, 0.15 for 15 %.

    Raises:
        DataError: If the two were measured in different ways, or have no figure in common.
    """
    found = []
    compared = 0
    for name, group in measured.items():
        if name not in recorded:
            continue
        then, now = recorded[name].conditions, group.conditions
        different = [
            f"{key} {then.get(key)} before, {now[key]} now" for key in _MUST_AGREE if then.get(key) != now[key]
        ]
        if different:
            raise DataError(f"{name}: not comparable with the recorded run: {'; '.join(different)}.")
        known = _with_ratios(recorded, name)
        for figure in group.figures:
            before = known.get(figure.key)
            if figure.ratio is None or before is None or before.ratio is None:
                continue
            compared += 1
            if figure.ratio < (1 - most) * before.ratio and _lower(figure.ratios, before.ratios, 1 - most):
                found.append(Lost(name, figure.name, before.ratio, figure.ratio))
    if not compared:
        raise DataError("nothing that was measured is in the recorded run; record it with 'make bench'.")
    return sorted(found, key=lambda each: each.now / each.before)


def _lower(now: Sequence[float], before: Sequence[float], share: float) -> bool:
    """Return whether the rounds' ratios are below a share of the recorded ones by more than chance.

    True where there are too few rounds to ever say so: then the medians alone decide.
    """
    if 1 / comb(len(now) + len(before), len(now)) >= _CHANCE:
        return True
    return bool(mannwhitneyu(now, [share * ratio for ratio in before], alternative="less").pvalue < _CHANCE)


def unknown(measured: Mapping[str, Group], recorded: Mapping[str, Group]) -> list[str]:
    """Return the names of what could be compared and is not in the recorded run."""
    return [
        f"{name}: {figure.name}"
        for name, group in measured.items()
        for figure in group.figures
        if figure.ratio is not None and figure.key not in _with_ratios(recorded, name)
    ]


def _with_ratios(groups: Mapping[str, Group], name: str) -> dict[tuple[object, ...], Figure]:
    """Return a group's figures that have a ratio by their keys, none if there is no such group."""
    figures = groups[name].figures if name in groups else []
    return {figure.key: figure for figure in figures if figure.ratio is not None}
