"""The command line that all benchmarks share."""

import argparse
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.docs_page import RESULTS, fill, page_to_fill
from benchmarks.jobs import Job, Options, jobs, recorded
from benchmarks.results_file import Entry, key, read_results
from benchmarks.rows import Benchmark, Row, commands
from benchmarks.runs import run
from benchmarks.table import markdown
from pcan_pose.errors import PcanError

MAIN = "main"


def parser(description: str | None, *, out: str, work: str) -> ArgumentParser:
    """Return a parser with the options that all benchmarks have.

    Args:
        description: The benchmark's own docstring.
        out: Where its results lie.
        work: Where its runs lie.
    """
    made = ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=Path(out), help="JSON file of the results; default: %(default)s")
    made.add_argument("--work", type=Path, default=Path(work), help="folder of the runs; default: %(default)s")
    made.add_argument(
        "--scores",
        type=Path,
        help="folder that keeps each entry's scores on the main split; default: beside --out, where it keeps any",
    )
    made.add_argument("--rows", nargs="+", metavar="ROW", help="names of rows; default: all")
    made.add_argument(
        "--protocols", nargs="+", metavar="PROTOCOL", help=f"names of protocols, {MAIN} for the main one; default: all"
    )
    made.add_argument("--seeds", type=_positive, help="seeds of each row; default: each row's own number")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; default: %(default)s")
    made.add_argument("--threads", type=_positive, help="CPU threads; default: the configuration's")
    made.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change every row's setting"
    )
    made.add_argument("--print-only", action="store_true", help="print the table of what there is; train nothing")
    made.add_argument(
        "--write-docs", action="store_true", help="write the table of all that is recorded into a page besides"
    )
    made.add_argument("--docs", type=Path, help=f"that page; default: {RESULTS.name}, of the recorded results alone")
    made.add_argument(
        "--commands",
        action="store_true",
        help="print the commands of each row with seed 0 and train nothing; a simulated set is made if it is not there",
    )
    made.set_defaults(recorded=Path(out))
    return made


def main(benchmark: Benchmark, arguments: Namespace) -> None:
    """Do what the command line asks for, and print the table or the commands.

    An error of ours ends the program with its message.
    """
    beside = arguments.out.with_name(f"{arguments.out.stem}_scores") if benchmark.keeps_scores else None
    options = Options(
        out=arguments.out,
        work=arguments.work,
        device=arguments.device,
        threads=arguments.threads,
        overrides=tuple(arguments.overrides),
        seeds=arguments.seeds,
        scores=arguments.scores or beside,
    )
    try:
        rows = _chosen(benchmark, arguments.rows)
        trained = _by_protocols(benchmark, arguments.protocols)
        if arguments.commands:
            _print_commands(trained, rows, options)
            return
        page = None
        if arguments.write_docs:
            changed = bool(arguments.overrides)
            page = page_to_fill(benchmark.name, arguments.docs, arguments.out, arguments.recorded, changed=changed)
        if not arguments.print_only:
            run(trained, rows, options)
        print(report(benchmark, rows, _shown(benchmark, rows, options)))
        if page is not None:
            fill(page, benchmark.name, report(benchmark, benchmark.rows, everything(benchmark, options)))
    except PcanError as error:
        sys.exit(str(error))


def report(benchmark: Benchmark, rows: Sequence[Row], entries: Sequence[Entry]) -> str:
    """Return the table of what is measured, and what the benchmark says of it."""
    table = markdown(entries, [row.name for row in rows], benchmark.columns)
    said = [f"- {sentence}" for sentence in benchmark.verdict(entries)]
    return "\n".join([table, *([""] if said else []), *said])


def everything(benchmark: Benchmark, options: Options) -> list[Entry]:
    """Return all results of the benchmark's rows and protocols, of whatever seed.

    Raises:
        DataError: If something was measured with other settings than these.
    """
    entries = read_results(options.out)
    rows = {row.name: row for row in benchmark.rows}
    protocols = {protocol.name: protocol for protocol in benchmark.protocols}
    known = [(rows.get(row), protocols.get(protocol), seed) for row, protocol, seed in map(key, entries)]
    found = [
        recorded(benchmark, Job(row, protocol, seed), options, entries)
        for row, protocol, seed in known
        if row and protocol
    ]
    return [entry for entry in found if entry is not None]


def _chosen(benchmark: Benchmark, names: Sequence[str] | None) -> list[Row]:
    known = [row.name for row in benchmark.rows]
    if unknown := [name for name in names or () if name not in known]:
        sys.exit(f"no row {', '.join(map(repr, unknown))}; the rows are {', '.join(map(repr, known))}.")
    return [row for row in benchmark.rows if names is None or row.name in names]


def _by_protocols(benchmark: Benchmark, names: Sequence[str] | None) -> Benchmark:
    known = {protocol.name or MAIN: protocol for protocol in benchmark.protocols}
    if unknown := [name for name in names or () if name not in known]:
        sys.exit(f"no protocol {', '.join(map(repr, unknown))}; the protocols are {', '.join(map(repr, known))}.")
    return replace(benchmark, protocols=tuple(known[name] for name in known if names is None or name in names))


def _shown(benchmark: Benchmark, rows: Sequence[Row], options: Options) -> list[Entry]:
    """Return the results of these rows and seeds, and of these settings only."""
    entries = read_results(options.out)
    found = (recorded(benchmark, job, options, entries) for job in jobs(benchmark, rows, options))
    return [entry for entry in found if entry is not None]


def _print_commands(benchmark: Benchmark, rows: Sequence[Row], options: Options) -> None:
    data = benchmark.data(0)
    print(f"# the keypoint set: {data}")
    for row in rows:
        for protocol in benchmark.protocols:
            print(f"# {row.name}{f' ({protocol.name})' if protocol.name else ''}")
            lines = commands(benchmark, row, protocol, data=data, work=options.work, overrides=options.overrides)
            print("\n".join(lines))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: expected 1 or more")
    return value
