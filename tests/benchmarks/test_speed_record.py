"""Recorded speed: the file, the tables, and what counts as a loss. Nothing is measured here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import speed
from benchmarks.speed_check import Lost, lost, unknown
from benchmarks.speed_docs import markdown, write_docs
from benchmarks.speed_file import Group, read_speed, write_speed
from benchmarks.speed_machine import Options
from benchmarks.speed_timing import Figure
from pcan_pose.errors import DataError

CONDITIONS = {
    "device": "cpu",
    "machine": "chip",
    "cpus": 2,
    "threads": 2,
    "rounds": 5,
    "quick": False,
    "date": "2026-01-02",
    "versions": {"torch": "2.0"},
}
LIMITS = {"2": {"gemm": {"fp32": 1234.5, "bf16": 4000.0}, "copy": 20.0}}


def group(*figures: Figure, skipped: Sequence[str] = (), limits: Any = None, **changed: Any) -> Group:
    return Group({**CONDITIONS, **changed}, limits or {}, list(figures), list(skipped))


def forward(row: str, ratio: float, **changed: Any) -> Figure:
    return Figure(row, "forward", 100.0, "clips/s", "fp32", 64, 64, ratio, **changed)


def test_groups_are_kept_unless_measured_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "speed.json"
    assert read_speed(file) == {}
    first = {"encoders": group(forward("pose", 3.0, details={"rounds": [1.0]})), "loader": group(skipped=["x"])}
    assert write_speed(file, first) == first == read_speed(file)
    again = group(forward("pose", 4.0), date="2026-02-03")
    assert write_speed(file, {"encoders": again}) == {"encoders": again, "loader": first["loader"]} == read_speed(file)


@pytest.mark.parametrize("text", ["{", "[]", '{"groups": []}', '{"groups": {"a": {}}}'])
def test_a_file_that_holds_something_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"s\.json: is no record of the speed .*; name another --out\."):
        read_speed(file)


def test_losses_are_named_worst_first() -> None:
    before = {"encoders": group(forward("pose", 3.0), forward("committee", 1.0), forward("ctr-gcn", 0.5))}
    now = {"encoders": group(forward("pose", 2.5), forward("committee", 0.5), forward("ctr-gcn", 0.43))}
    found = lost(now, before, 0.15)
    assert found == [
        Lost("encoders", "committee, forward, fp32, N 64, T 64", 1.0, 0.5),
        Lost("encoders", "pose, forward, fp32, N 64, T 64", 3.0, 2.5),
    ]
    assert str(found[0]) == "encoders: committee, forward, fp32, N 64, T 64: 1 -> 0.5 (-50%)"
    assert lost(now, before, 0.6) == []
    # The absolute numbers do not matter.
    slow = {"encoders": group(Figure("pose", "forward", 1.0, "clips/s", "fp32", 64, 64, 3.0))}
    assert lost(slow, before, 0.15) == []


def test_a_loss_is_more_than_the_rounds_differ() -> None:
    wide = [7.0, 15.3, 10.3, 12.3, 16.4]
    before = {"encoders": group(forward("pose", 12.3, ratios=wide))}

    def found(*rounds: float) -> list[Lost]:
        now = sorted(rounds)[len(rounds) // 2]
        return lost({"encoders": group(forward("pose", now, ratios=list(rounds)))}, before, 0.15)

    # A quarter less by the median, and well among the recorded rounds.
    assert found(8.2, 10.0, 9.2, 10.5, 8.2) == []
    assert [each.now for each in found(5.0, 5.1, 4.9, 5.8, 5.2)] == [5.1]
    # Three rounds and five could never say so: the medians alone decide.
    assert [each.now for each in found(6.0, 6.1, 5.9)] == [6.0]
    # All rounds below all others, but not by the share that may be lost.
    steady = {"encoders": group(forward("pose", 3.0, ratios=[3.0, 3.1, 2.9, 3.0, 3.05]))}
    near = {"encoders": group(forward("pose", 2.7, ratios=[2.7, 2.75, 2.65, 2.7, 2.8]))}
    assert lost(near, steady, 0.15) == [] and len(lost(near, steady, 0.02)) == 1


def test_only_what_is_the_same_is_compared() -> None:
    before = {"encoders": group(forward("pose", 3.0))}
    other = {"encoders": group(forward("pose", 3.0), forward("st-gcn", 1.0)), "loader": group(forward("x", 1.0))}
    assert unknown(other, before) == [
        "encoders: st-gcn, forward, fp32, N 64, T 64",
        "loader: x, forward, fp32, N 64, T 64",
    ]
    assert lost(other, before, 0.15) == []
    with pytest.raises(DataError, match="nothing that was measured is in the recorded run"):
        lost({"loader": group(forward("x", 1.0))}, before, 0.15)
    with pytest.raises(DataError) as caught:
        lost({"encoders": group(forward("pose", 3.0), threads=1)}, before, 0.15)
    assert str(caught.value) == "encoders: not comparable with the recorded run: threads 2 before, 1 now."


def _check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratios: Sequence[float], *more: str
) -> tuple[Path, list[Options]]:
    """Check against a record of ratio 3, every measurement giving the next of the ratios."""
    file = tmp_path / "speed.json"
    write_speed(file, {"encoders": group(forward("pose", 3.0))})
    values, asked = iter(ratios), []

    def measure(options: Options) -> tuple[list[Figure], list[str]]:
        asked.append(options)
        return [forward("pose", next(values))], []

    monkeypatch.setitem(speed.GROUPS, "encoders", measure)
    speed.main(["--check", str(file), "--only", "encoders", "--threads", "2", *more])
    return file, asked


def test_the_check_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file, asked = _check(tmp_path, monkeypatch, [2.6])
    assert capsys.readouterr().out == "nothing lost more than 15% of its ratio to the baseline encoder.\n"
    assert [(options.batches, options.frames) for options in asked] == [((16,), (64,))]
    assert read_speed(file)["encoders"].figures[0].ratio == 3.0  # a check records nothing


def test_the_check_fails_where_a_loss_shows_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        _check(tmp_path, monkeypatch, [2.0, 1.5])
    assert caught.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["encoders: pose, forward, fp32, N 64, T 64: 3 -> 1.5 (-50%)"]
    _check(tmp_path, monkeypatch, [2.0, 2.9])  # the first time was chance
    _check(tmp_path, monkeypatch, [2.0], "--tolerance", "0.5")


def test_the_check_needs_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(speed.GROUPS, "encoders", lambda options: ([forward("pose", 1.0)], []))
    with pytest.raises(SystemExit, match="record it with 'make bench'"):
        speed.main(["--check", str(tmp_path / "none.json"), "--only", "encoders", "--threads", "2"])


def test_tables() -> None:
    memory = [Figure(row, "memory", 100.0, "MB", "fp32", 64, 64, ratio) for row, ratio in {"pose": 4.0}.items()]
    encoders = group(
        forward("pose", 3.125, gemm_share=0.255, copy_share=0.0512),
        forward("stgcn++", 1.0),
        *memory,
        limits=LIMITS,
        skipped=["folded networks: absent"],
    )
    loader = group(Figure("gather", "", 54321.0, "clips/s", "", 64, 64, 200.4, None, 0.5), quick=True)
    start = group(Figure("--help", "", 0.25, "s"))
    recorded = group(Figure("b, alone", "", 24.53, "frames/s", details={"machine": "old chip", "recorded": True}))
    text = markdown({"start": start, "loader": loader, "encoders": encoders, "extraction": recorded})
    assert text.split("\n\n") == [
        "### Encoders",
        "chip, 2 CPUs, 2 threads, torch 2.0, 5 rounds, 2026-01-02. Limits with 2 threads: matrix product 1,234 GFLOP/s "
        "fp32, 4,000 GFLOP/s bf16; copy 20.0 GB/s.",
        "| encoder | precision | N | T | forward, clips/s | × | of GEMM, of copy | training, clips/s | × | of GEMM, of "
        "copy | memory, MB | × |\n"
        f"{'| --- ' * 12}|\n"
        "| pose | fp32 | 64 | 64 | 100 | 3.12 | 26 %, 5.1 % | - | - | - | 100 | 0.25 |\n"
        "| **stgcn++** | fp32 | 64 | 64 | 100 | 1 | -, - | - | - | - | - | - |",
        "Left out: folded networks: absent.",
        "### Loader",
        "chip, 2 CPUs, 2 threads, torch 2.0, 5 rounds, 2026-01-02. **Tiny sizes: these numbers say nothing.**",
        "| what | value | × baseline | of copy |\n| --- | --- | --- | --- |\n"
        "| gather, N 64, T 64 | 54,321 clips/s | 200 | 50 % |",
        "### Start-up",
        "chip, 2 CPUs, 2 threads, torch 2.0, 5 rounds, 2026-01-02.",
        "| what | value |\n| --- | --- |\n| --help | 0.25 s |",
        "### Extraction",
        "As `python -m benchmarks.extract` recorded it, not run again: old chip.",
        "| what | value |\n| --- | --- |\n| b, alone | 24.5 frames/s |",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- speed cpu -->",
        "<!-- end of speed cpu --> <!-- speed cpu -->",
        "<!-- speed cpu --> <!-- end of speed cpu --> <!-- speed cpu -->",
    ],
)
def test_a_page_without_its_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "p.md"
    page.write_text(text)
    with pytest.raises(DataError, match=r"p\.md: expected the markers '<!-- speed cpu -->' and"):
        write_docs(page, {}, "cpu")
    assert page.read_text() == text


def test_each_device_has_its_part_of_the_page(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "performance.md"
    copy = tmp_path / "p.md"
    copy.write_text(page.read_text())
    write_docs(copy, {"start": group(Figure("--help", "", 0.25, "s"))}, "cuda")
    assert copy.read_text().split("## On a GPU")[0] == page.read_text().split("## On a GPU")[0]
    assert "| --help | 0.25 s |" in copy.read_text().split("## On a GPU")[1]
