"""How fast everything is, against the baseline encoder in the same run and against what the machine can do.

    python -m benchmarks.speed --write-docs          measure all, record it, and fill the tables of docs/performance.md
    python -m benchmarks.speed --only loader losses  measure these groups again
    python -m benchmarks.speed --check benchmarks/results/speed.json

All that is compared takes turns in one process; medians over the rounds are kept, and ratios to ST-GCN++. The check
measures fewer sizes, compares nothing but the ratios, and fails where one fell by more than `--tolerance`; a loss
counts only if it shows a second time.
"""

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.speed_check import lost, unknown
from benchmarks.speed_docs import TITLES, markdown, write_docs
from benchmarks.speed_encoders import encoders, profile
from benchmarks.speed_file import Group, read_speed, write_speed
from benchmarks.speed_latency import latency
from benchmarks.speed_machine import Options, conditions, limits
from benchmarks.speed_parts import loader, losses
from benchmarks.speed_start import extraction, start
from benchmarks.speed_timing import Figure
from pcan_pose.engine.distributed import pick_device
from pcan_pose.errors import PcanError

Measure = Callable[[Options], tuple[list[Figure], list[str]]]
GROUPS: dict[str, Measure] = {
    "encoders": encoders,
    "profile": profile,
    "loader": loader,
    "losses": losses,
    "latency": latency,
    "start": start,
    "extraction": extraction,
}
CHECKED = ("encoders", "loader", "losses", "latency", "start")


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for; an error of ours ends the program with its message."""
    given = _options(arguments)
    try:
        options = _measured(given)
        if given.check is not None:
            _check(given, options)
            return
        groups = write_speed(given.out, measure(given.only or tuple(GROUPS), options))
        if given.write_docs:
            write_docs(given.docs, groups, options.device.type)
    except PcanError as error:
        sys.exit(str(error))
    print(markdown(groups))


def measure(names: Sequence[str], options: Options) -> dict[str, Group]:
    """Return the groups of these names, measured."""
    groups = {}
    for name in names:
        print(f"{TITLES[name]} ...", file=sys.stderr, flush=True)
        figures, skipped = GROUPS[name](options)
        shared = any(figure.gemm_share is not None or figure.copy_share is not None for figure in figures)
        threads = 1 if name in ("loader", "latency") else options.threads
        most = {str(threads): asdict(limits(options, threads))} if shared else {}
        groups[name] = Group(conditions(options), most, figures, skipped)
    return groups


def _check(given: Namespace, options: Options) -> None:
    """Compare a shorter run with the recorded one, and end the program with 1 if something got slower."""
    recorded = read_speed(given.check)
    names = given.only or CHECKED
    measured = measure(names, options)
    for name in unknown(measured, recorded):
        print(f"not recorded yet: {name}")
    for reason in dict.fromkeys(reason for group in measured.values() for reason in group.skipped):
        print(f"not checked: {reason}")
    slower = lost(measured, recorded, given.tolerance)
    if slower:
        # Something else on the machine may have hit one row harder than the baseline.
        again = lost(
            measure([name for name in names if name in {each.group for each in slower}], options),
            recorded,
            given.tolerance,
        )
        slower = [each for each in again if (each.group, each.name) in {(one.group, one.name) for one in slower}]
    if slower:
        print(f"slower than recorded in {given.check}, as ratios to the baseline encoder:")
        print("\n".join(str(each) for each in slower))
        sys.exit(1)
    print(f"nothing lost more than {given.tolerance:.0%} of its ratio to the baseline encoder.")


def _measured(given: Namespace) -> Options:
    device = pick_device(given.device)
    options = Options(device, given.threads or torch.get_num_threads(), given.rounds, compile=given.compile)
    if given.check is not None:
        options = replace(options, batches=options.batches[:1], frames=options.frames[:1])
    if given.quick:
        options = replace(options, quick=True, batches=(2,), frames=(8,))
    return options


def _options(arguments: Sequence[str] | None) -> Namespace:
    results = Path(__file__).parent / "results" / "speed.json"
    page = Path(__file__).parents[1] / "docs" / "performance.md"
    made = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=results, help="JSON file of the figures; default: %(default)s")
    made.add_argument("--only", nargs="+", choices=list(GROUPS), metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    made.add_argument("--rounds", type=_positive, default=5, help="turns of everything; default: %(default)s")
    made.add_argument("--threads", type=_positive, help="CPU threads; default: torch's choice")
    made.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N; default: %(default)s")
    made.add_argument("--compile", action="store_true", help="measure compiled networks too; takes minutes")
    made.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    made.add_argument("--write-docs", action="store_true", help="fill the tables of the page")
    made.add_argument("--docs", type=Path, default=page, help="that page; default: %(default)s")
    made.add_argument("--check", type=Path, metavar="FILE", help="compare a shorter run with a recorded one")
    made.add_argument("--tolerance", type=float, default=0.15, help="share that may be lost; default: %(default)s")
    given = made.parse_args(arguments)
    if given.quick and given.check is None and given.out == results:
        made.error("--quick measures nothing worth keeping: name another file with --out.")
    return given


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: expected 1 or more")
    return value


if __name__ == "__main__":
    main()
