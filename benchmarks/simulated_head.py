"""What the hierarchical head adds to plain cross-entropy, and the nearest training clips to both, on simulated clips.

    python -m benchmarks.simulated_head

Trains configs/demo.yaml once for each row and seed on the demo's number of clips and tests on many more, so that the
test's own chance matters little. Resumes where it was stopped, writes every number as JSON and prints the
table.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmarks.command_line import main, parser
from benchmarks.head_rows import OFF
from benchmarks.rows import Benchmark, Column, Protocol, Row
from benchmarks.sets import simulated_set

ROWS = (
    Row("plain cross-entropy", OFF),
    Row("full head"),
    Row("plain cross-entropy, 10 neighbours", trained_as="plain cross-entropy", neighbours=10),
    Row("full head, 10 neighbours", trained_as="full head", neighbours=10),
)
COLUMNS = (
    Column("action top-1", "action_top1"),
    Column("action macro F1", "action_f1_macro"),
    Column("body top-1", "body_top1"),
    Column("F1 mean", "f1_mean"),
)
COMMON = ("data.val_split=null",)


def add_simulation(options: ArgumentParser) -> None:
    """Add the options of the simulated set."""
    options.add_argument("--clips", type=int, default=10_400, help="clips of the set; a fifth each for val and test")
    options.add_argument(
        "--train-clips", type=int, default=1560, help="clips to train on, the first of the train split"
    )
    options.add_argument("--split", default="test", help="split to measure; choose settings on val")


def describe_simulation(given: Namespace) -> tuple[str, ...]:
    """Return the options of the simulated set in words."""
    return (f"--clips {given.clips}", f"--train-clips {given.train_clips}", f"--split {given.split}")


def benchmark(given: Namespace) -> Benchmark:
    """Return the table; another seed is another set, other weights and another order of the clips."""

    def data(seed: int) -> Path:
        return simulated_set(given.work, clips=given.clips, train_clips=given.train_clips, seed=seed)

    protocol = Protocol({"": given.split})
    return Benchmark("simulated head", "demo", ROWS, COLUMNS, data, (protocol,), COMMON, describe_simulation(given))


if __name__ == "__main__":
    options = parser(__doc__, out="benchmarks/results/simulated_head.json", work="runs/simulated_head")
    add_simulation(options)
    given = options.parse_args()
    main(benchmark(given), given)
