"""The tables of the documentation are those of the recorded results."""

import re
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import ablation, command_line, nwucla, simulated_head
from benchmarks.command_line import everything, main, parser, report
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
    entries = everything(table, Options(out=RECORDED / f"{name}.json", work=Path("w")))
    assert entries
    assert section(RESULTS, table.name) == report(table, table.rows, entries)


@pytest.mark.parametrize(
    ("heading", "name", "least"),
    [("NW-UCLA", "nwucla", 3), ("The hierarchical head", "simulated head", 4), ("Pose and RGB", "two branches", 3)],
)
def test_the_readme_shows_lines_of_the_page_of_results(heading: str, name: str, least: int) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    results = readme[readme.index("## Results") : readme.index("## What is where")]
    shown = re.split(r"^### (.*)$", results, flags=re.MULTILINE)
    text = shown[shown.index(heading) + 1]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    whole = [line for line in section(RESULTS, name).splitlines() if line.startswith("| ")]
    assert lines[:2] == whole[:2] and len(lines) >= least + 2
    assert lines == [line for line in whole if line in lines], "a line that is not there, or in another order"


def test_the_readmes_figures_of_the_head_on_nwucla_are_measured() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    lines = section(RESULTS, "ablation nwucla").splitlines()
    rows = {cells[1].strip(): cells[2].strip() for line in lines if len(cells := line.split("|")) > 3}
    for row in ("plain cross-entropy", "full head (+ rectification)", "as published"):
        assert f" {rows[row]}" in " ".join(readme.split())


def test_a_command_writes_its_table_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- nwucla -->\nold\n<!-- end of nwucla -->\nafter\n")
    results = parser("", out=str(RECORDED / "nwucla.json"), work="w")
    words = ["--print-only", "--rows", "pose", "--seeds", "1", "--write-docs"]
    main(TABLES["nwucla"], results.parse_args([*words, "--docs", str(page)]))
    # The page gets all rows and seeds, whichever were asked for.
    whole = section(RESULTS, "nwucla")
    assert page.read_text() == f"before\n<!-- nwucla -->\n\n{whole}\n\n<!-- end of nwucla -->\nafter\n"

    # The project's own page shows the recorded results, as they are.
    for other in (["--out", str(tmp_path / "r.json")], ["--set", "optim.lr=1"]):
        with pytest.raises(SystemExit, match=r"results\.md shows .*nwucla\.json, as it is; name another page"):
            main(TABLES["nwucla"], results.parse_args([*words, *other]))


def test_the_page_is_looked_at_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "run", None)
    given = parser("", out=str(tmp_path / "r.json"), work="w").parse_args(["--write-docs", "--docs", "no/page.md"])
    with pytest.raises(SystemExit, match=r"no/page\.md: cannot be read \(No such file"):
        main(TABLES["nwucla"], given)


@pytest.mark.parametrize(
    "text", ["", "<!-- a -->", "<!-- end of a --><!-- a -->", "<!-- a --><!-- a --><!-- end of a -->"]
)
def test_a_page_without_its_markers(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(DataError, match=re.escape(f"{page}: expected the markers '<!-- a -->'")):
        fill(page, "a", "table")
    assert page.read_text() == text
