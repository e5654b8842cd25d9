"""The tables of the documentation are those of the recorded results."""

import json
import re
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import ablation, nwucla, simulated_head, two_branches
from benchmarks.command_line import main, parser, report
from benchmarks.docs_page import RESULTS, fill, section
from benchmarks.jobs import Options
from benchmarks.rows import Benchmark
from pcan_pose.errors import DataError

PROJECT = RESULTS.parents[1]
RECORDED = PROJECT / "benchmarks" / "results"
SIMULATION = Namespace(work=Path("w"), clips=10_400, train_clips=1560, split="test", ratio=10.0)
TABLES = {
    "nwucla": nwucla.benchmark(Path("set")),
    "simulated_head": simulated_head.benchmark(SIMULATION),
    "ablation_nwucla": ablation.nwucla(Path("set"), Path("w"), 10.0),
    "ablation_simulated": ablation.simulated(SIMULATION),
}


@pytest.mark.parametrize(("name", "table"), TABLES.items(), ids=TABLES)
def test_the_page_of_results_is_what_the_command_writes(name: str, table: Benchmark) -> None:
    options = Options(out=RECORDED / f"{name}.json", work=Path("w"))
    assert section(RESULTS, table.name) == report(table, table.rows, options)


def test_the_two_branches_table_is_what_was_measured() -> None:
    results = json.loads((RECORDED / "two_branches.json").read_text())
    seeds = [results[key] for key in sorted(results.keys() - {"settings"})]
    assert section(RESULTS, "two branches") == two_branches.table(seeds)


def test_the_readme_shows_lines_of_the_page_of_results() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    results = readme[readme.index("## Results") : readme.index("## What is where")]
    lines = [line for line in results.splitlines() if line.startswith("| ")]
    assert len(lines) > 12
    whole = RESULTS.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line not in whole] == []


def test_a_command_writes_its_table_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- nwucla -->\nold\n<!-- end of nwucla -->\nafter\n")
    words = ["--print-only", "--rows", "pose", "--write-docs", "--docs", str(page)]
    main(TABLES["nwucla"], parser("", out=str(RECORDED / "nwucla.json"), work="w").parse_args(words))
    # The page gets all rows, whichever were asked for.
    whole = section(RESULTS, "nwucla")
    assert page.read_text() == f"before\n<!-- nwucla -->\n\n{whole}\n\n<!-- end of nwucla -->\nafter\n"


@pytest.mark.parametrize(
    "text", ["", "<!-- a -->", "<!-- end of a --><!-- a -->", "<!-- a --><!-- a --><!-- end of a -->"]
)
def test_a_page_without_its_markers(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(DataError, match=re.escape(f"{page}: expected the markers '<!-- a -->'")):
        fill(page, "a", "table")
    assert page.read_text() == text
