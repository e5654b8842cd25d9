"""What a benchmark is made of: rows to train, protocols to train and test them by, columns to show.

A row is a set of ``--set`` overrides of one configuration, so that anybody can train one row alone with one command.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.results_file import Entry


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: what the line is called.
        overrides: its settings, such as ``head.tree_weight=0``.
        seeds: how many seeds it is trained with, unless the command says another number.
        trained_as: the row whose runs it measures, with no training of its own; None trains.
        members: members of its committee that are measured without the others, counted from 1; none measures all.
        body_weight: weight of the body parts when the two levels are fused at inference; 0 is off.
        neighbours: nearest training clips that are asked too at inference; 0 is off.
        config: name of the configuration that it changes; None takes the benchmark's.
        fused: rows whose scores it is the mean logits of, with no training of its own; none trains.
    """

    name: str
    overrides: tuple[str, ...] = ()
    seeds: int = 3
    trained_as: str | None = None
    members: tuple[int, ...] = ()
    body_weight: float = 0.0
    neighbours: int = 0
    config: str | None = None
    fused: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        own = (self.overrides, self.trained_as, self.members, self.body_weight, self.neighbours, self.config)
        if self.fused and any(own):
            raise ValueError(f"row {self.name!r} fuses the scores of others and has nothing else of its own")


@dataclass(frozen=True)
class Protocol:
    """How every row is trained and on what it is measured.

    Attributes:
        splits: the splits to measure, each with what stands before its numbers' names; the main one has "".
        name: empty for a benchmark's main protocol.
        overrides: settings besides the row's.
    """

    splits: Mapping[str, str]
    name: str = ""
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One column of a table: mean and standard deviation of a number over the seeds.

    Attributes:
        title: its heading.
        number: key of the number in the results.
        protocol: name of the protocol that measured it.
        scale: what the number is multiplied by; 100 shows per cent.
        digits: digits after the point.
        spread: whether to show the standard deviation.
    """

    title: str
    number: str
    protocol: str = ""
    scale: float = 100.0
    digits: int = 1
    spread: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A table.

    Attributes:
        name: what it is called in the page of results.
        config: name of the configuration that rows change, unless they name another.
        rows: the lines; what measures another row's runs comes after it.
        columns: the columns.
        data: gives the keypoint set of a seed, which it makes where it does not exist yet.
        protocols: the main one, named "", and further ones.
        common: settings of all rows.
        described: options that decided the data, in words; results of other data are not mixed with.
        verdict: gives sentences on its entries, to stand below the table.
        keeps_scores: whether the scores of its entries are kept beside the results, unless the command says otherwise.
    """

    name: str
    config: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    data: Callable[[int], Path]
    protocols: tuple[Protocol, ...] = field(default=(Protocol({"": "test"}),))
    common: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    verdict: Callable[[Sequence[Entry]], list[str]] = lambda entries: []
    keeps_scores: bool = False

    def row(self, name: str) -> Row:
        """Return the row of that name."""
        return next(row for row in self.rows if row.name == name)

    def trained(self, row: Row) -> Row:
        """Return the row whose runs a row measures: itself, or the one that it names."""
        return row if row.trained_as is None else self.row(row.trained_as)

    def config_of(self, row: Row) -> str:
        """Return the name of the configuration that a row's training changes."""
        return self.trained(row).config or self.config


def run_name(row: Row, protocol: Protocol, seed: int) -> str:
    """Return the name of the run folder of a row: letters, digits and underscores."""
    words = re.sub(r"[^a-z0-9]+", "_", row.name.lower().replace("+", "plus")).strip("_")
    return "_".join([words, *([protocol.name] if protocol.name else []), str(seed)])


def commands(
    benchmark: Benchmark, row: Row, protocol: Protocol, *, data: Path, work: Path, overrides: tuple[str, ...] = ()
) -> list[str]:
    """Return the shell commands that make one row with seed 0 alone: train, test, evaluate.

    Those of a row that fuses others' scores read the score files that the others' commands write.
    """
    if row.fused:
        parts = [benchmark.row(part) for part in row.fused]
        files = [[_scores(benchmark, part, protocol, prefix, work) for part in parts] for prefix in protocol.splits]
        return [shlex.join(["pcan-pose", "evaluate", *each, "--space", "logits"]) for each in files]
    trained = benchmark.trained(row)
    name = run_name(trained, protocol, 0)
    settings = (f"name={name}", f"output={work}", f"data.path={data}")
    changes = [*settings, *benchmark.common, *protocol.overrides, *trained.overrides, *overrides]
    train = ["pcan-pose", "train", f"configs/{benchmark.config_of(row)}.yaml"]
    lines = [] if row.trained_as else [train + [word for change in changes for word in ("--set", change)]]
    part = _part(row)
    for prefix, split in protocol.splits.items():
        scores = _scores(benchmark, row, protocol, prefix, work)
        if not row.trained_as or part:
            chosen = [word for member in row.members for word in ("--member", str(member))]
            chosen += ["--neighbours", str(row.neighbours)] if row.neighbours else []
            lines.append(["pcan-pose", "test", str(work / name), "--split", split, *chosen, "--out", scores])
        fusion = ["--body-weight", f"{row.body_weight:g}"] if row.body_weight else []
        lines.append(["pcan-pose", "evaluate", scores, *fusion])
    return [shlex.join(line) for line in lines]


def _scores(benchmark: Benchmark, row: Row, protocol: Protocol, prefix: str, work: Path) -> str:
    """Return the score file that a row's commands write for a split, with seed 0."""
    name = run_name(benchmark.trained(row), protocol, 0)
    return str(work / f"{name}_{_part(row)}{prefix}scores.parquet")


def _part(row: Row) -> str:
    """Return what the score files of a row have in their names that measures a run in part, or with its neighbours."""
    part = "".join(f"member{member}_" for member in row.members)
    return part + (f"neighbours{row.neighbours}_" if row.neighbours else "")
