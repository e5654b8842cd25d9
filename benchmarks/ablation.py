"""The hierarchical head taken apart: part by part, fault by fault, and what stands beside it.

    python -m benchmarks.ablation --on nwucla --data data/nwucla
    python -m benchmarks.ablation --on simulated

Rows: plain cross-entropy and then one part more each; the published arithmetic, and the corrected one with each fault
put back alone; the full head's scores with body x action fusion at inference, without another training; the full head
on a long-tailed copy of the training split, without and with logit adjustment. On NW-UCLA the network is small and
trained for 30 passes, so that a row takes minutes on a core.

Every row is one configuration changed by --set; --commands prints them. All rows are also measured on a long-tailed
copy of the test split, whose actions are as rare as in the training copy. Resumes where it was stopped, writes every
number as JSON and prints the table; below it, what logit adjustment does on the long tail.
"""

import statistics
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command_line import main, parser
from benchmarks.head_rows import LONG_TAIL, PARTS, fault_rows, fusion_rows, long_tail_rows
from benchmarks.results_file import Entry
from benchmarks.rows import Benchmark, Column, Protocol, Row
from benchmarks.sets import long_tailed_set, simulated_set
from benchmarks.simulated_head import COMMON, add_simulation, describe_simulation

COLUMNS = (
    Column("action top-1", "action_top1"),
    Column("macro F1", "action_f1_macro"),
    Column("body top-1", "body_top1"),
    Column("F1 mean", "f1_mean"),
    Column("long tail: top-1", "tail_action_top1"),
    Column("long tail: macro F1", "tail_action_f1_macro"),
)
CLEAN = Column("clean 369: top-1", "clean_action_top1")
SMALL = ("data.frames=28", "encoder.widths=[48,96,192]", "train.epochs=6", "optim.warmup_epochs=1")
"""A seventh of the configuration's arithmetic a clip and three eighths of its passes, for 16 trainings a seed."""
ALLOWED_LOSS = 0.01


def rows(train_split: str) -> tuple[Row, ...]:
    """Return all rows; the long tail's train on the copy of this split."""
    return (*PARTS, *fault_rows(), *fusion_rows(), *long_tail_rows(f"long_tail_{train_split}"))


def nwucla(data: Path, work: Path, ratio: float) -> Benchmark:
    """Return the table on NW-UCLA, views 1 and 2 to view 3, of a small network."""
    splits = ("xview_train", "xview_test")

    def of_seed(seed: int) -> Path:
        return long_tailed_set(data, work, splits, ratio=ratio, seed=seed)

    protocol = Protocol({"": "xview_test", "clean_": "xview_test_clean", "tail_": "long_tail_xview_test"})
    columns = (COLUMNS[0], CLEAN, *COLUMNS[1:])
    described = (f"--ratio {ratio:g}",)
    return Benchmark(
        "ablation nwucla", "nwucla_small", rows("xview_train"), columns, of_seed, (protocol,), SMALL, described, verdict
    )


def simulated(given: Namespace) -> Benchmark:
    """Return the table on simulated clips of MA-52's actions; another seed is another set."""

    def of_seed(seed: int) -> Path:
        return simulated_set(given.work, clips=given.clips, train_clips=given.train_clips, seed=seed, ratio=given.ratio)

    protocol = Protocol({"": given.split, "tail_": f"long_tail_{given.split}"})
    described = (*describe_simulation(given), f"--ratio {given.ratio:g}")
    return Benchmark(
        "ablation simulated", "demo", rows("train"), COLUMNS, of_seed, (protocol,), COMMON, described, verdict
    )


def verdict(entries: Sequence[Entry]) -> list[str]:
    """Return a sentence for each strength of logit adjustment: does it raise macro F1 without costing top-1?"""
    plain = {entry["seed"]: entry for entry in entries if entry["row"] == LONG_TAIL}
    lines = []
    for name in dict.fromkeys(entry["row"] for entry in entries if entry["row"].startswith(f"{LONG_TAIL}, ")):
        pairs = [(entry, plain[entry["seed"]]) for entry in entries if entry["row"] == name and entry["seed"] in plain]
        for prefix, where in (("", "test split as it is"), ("tail_", "long-tailed test split")):
            if not pairs:
                continue
            gain, change = (
                statistics.mean(entry[f"{prefix}{number}"] - without[f"{prefix}{number}"] for entry, without in pairs)
                for number in ("action_f1_macro", "action_top1")
            )
            lines.append(
                f"{name}, {where}: macro F1 {100 * gain:+.1f}, top-1 {100 * change:+.1f} over {len(pairs)} seeds: "
                f"{_verdict(gain, change)}."
            )
    return lines


def _verdict(gain: float, change: float) -> str:
    if gain <= 0:
        return "does not raise macro F1"
    if change < -ALLOWED_LOSS:
        return "raises macro F1, at more than 1 point of top-1"
    return "raises macro F1, at no more than 1 point of top-1"


if __name__ == "__main__":
    options = parser(__doc__, out="benchmarks/results/ablation_<on>.json", work="runs/ablation_<on>")
    options.add_argument("--on", choices=["nwucla", "simulated"], required=True, help="which data")
    options.add_argument(
        "--data", type=Path, default=Path("data/nwucla"), help="the imported NW-UCLA; default: %(default)s"
    )
    options.add_argument(
        "--ratio", type=float, default=10.0, help="the long tail's first action to its last; default: %(default)s"
    )
    add_simulation(options)
    given = options.parse_args()
    given.out, given.work, given.recorded = (
        Path(str(path).replace("<on>", given.on)) for path in (given.out, given.work, given.recorded)
    )
    table = nwucla(given.data, given.work, given.ratio) if given.on == "nwucla" else simulated(given)
    main(table, given)
