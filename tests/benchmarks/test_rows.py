"""Every row of every benchmark is a configuration, and has a run folder and commands of its own."""

import shlex
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import ablation, nwucla, simulated_head
from benchmarks.head_rows import FULL
from benchmarks.jobs import Job, Options, jobs, settings
from benchmarks.rows import Benchmark, Protocol, Row, commands, run_name
from pcan_pose.config import PUBLISHED_CALIBRATION, PUBLISHED_HEAD, load_config

SIMULATION = {"work": Path("w"), "clips": 20, "train_clips": 10, "split": "test", "ratio": 10.0}
BENCHMARKS = {
    "nwucla": nwucla.benchmark(Path("set")),
    "simulated_head": simulated_head.benchmark(Namespace(**SIMULATION)),
    "ablation, nwucla": ablation.nwucla(Path("set"), Path("w"), 10),
    "ablation, simulated": ablation.simulated(Namespace(**SIMULATION)),
}
OPTIONS = Options(out=Path("out.json"), work=Path("w"))
every = pytest.mark.parametrize("benchmark_", BENCHMARKS.values(), ids=BENCHMARKS)


@every
def test_every_row_loads_as_a_configuration(benchmark_: Benchmark) -> None:
    loaded = {}
    for protocol in benchmark_.protocols:
        for row in (row for row in benchmark_.rows if not row.fused):
            config = settings(benchmark_, Job(row, protocol, 7), OPTIONS, Path("set"))
            assert (config.seed, config.output, config.data.path) == (7, Path("w"), Path("set"))
            if row.trained_as is None:
                loaded[row.name, protocol.name] = config.model_copy(update={"name": ""})
    assert len(set(map(str, loaded.values()))) == len(loaded), "two rows train the same thing"


@every
def test_names_of_rows_and_run_folders_are_unique(benchmark_: Benchmark) -> None:
    names = [row.name for row in benchmark_.rows]
    assert len(set(names)) == len(names)
    trained = [row for row in benchmark_.rows if row.trained_as is None and not row.fused]
    folders = {run_name(row, protocol, seed) for row in trained for protocol in benchmark_.protocols for seed in (0, 1)}
    assert len(folders) == len(trained) * len(benchmark_.protocols) * 2
    assert all(name.replace("_", "").isalnum() for name in folders)


@pytest.mark.parametrize("name", ["nwucla", "nwucla_small"])
def test_a_configuration_trained_alone_has_another_folder(name: str) -> None:
    assert load_config(name, []).folder != Path(nwucla.WORK)


@every
def test_columns_name_numbers_that_a_protocol_measures(benchmark_: Benchmark) -> None:
    protocols = {protocol.name: protocol for protocol in benchmark_.protocols}
    assert "" in protocols
    levels = [f"{level}_{name}" for level in ("action", "body") for name in ("top1", "top5", "f1_macro", "f1_micro")]
    for column in benchmark_.columns:
        measured = [prefix + name for prefix in protocols[column.protocol].splits for name in (*levels, "f1_mean")]
        assert column.number in (*measured, "parameters", "gflops", "seconds")


@every
def test_a_rows_command_trains_what_the_benchmark_trains(benchmark_: Benchmark) -> None:
    for protocol in benchmark_.protocols:
        for row in benchmark_.rows:
            lines = commands(benchmark_, row, protocol, data=Path("set"), work=Path("w"))
            if row.fused:
                written = {
                    line.split(" --out ")[1]
                    for part in row.fused
                    for line in commands(benchmark_, benchmark_.row(part), protocol, data=Path("set"), work=Path("w"))
                    if " --out " in line
                }
                read = [word for line in lines for word in shlex.split(line)[2:-2]]
                assert all(line.endswith(" --space logits") for line in lines)
                assert (set(read), len(read)) == (written, len(written))
                continue
            if row.trained_as is not None and (row.members or row.neighbours):
                tests, evaluations = lines[::2], lines[1::2]
                for line in tests:
                    assert [line.count(f" --member {k} ") for k in range(1, 5)] == [
                        k in row.members for k in range(1, 5)
                    ]
                assert all((f" --neighbours {row.neighbours} " in line) == bool(row.neighbours) for line in tests)
                assert [line.split()[-1] for line in tests] == [line.split()[-1] for line in evaluations]
                continue
            if row.trained_as is not None:
                assert all(line.startswith("pcan-pose evaluate ") for line in lines)
                assert all(line.endswith(f" --body-weight {row.body_weight:g}") for line in lines)
                continue
            program, command, config, *words = shlex.split(lines[0])
            assert (program, command, set(words[::2])) == ("pcan-pose", "train", {"--set"})
            assert load_config(config, words[1::2]) == settings(benchmark_, Job(row, protocol, 0), OPTIONS, Path("set"))
            assert len(lines) == 1 + 2 * len(protocol.splits)


def test_every_fault_has_a_row_that_sets_it_alone() -> None:
    table = BENCHMARKS["ablation, nwucla"]
    base = load_config("nwucla_small").head.model_dump()
    full = {**base, "calibration": None, **{f"calibration.{k}": v for k, v in base["calibration"].items()}}
    changed = {}
    for row in table.rows:
        if row.name.startswith("full, head."):
            head = load_config("nwucla_small", row.overrides).head.model_dump()
            flat = {**head, "calibration": None, **{f"calibration.{k}": v for k, v in head["calibration"].items()}}
            (key,) = [key for key in full if flat[key] != full[key]]
            changed[key] = flat[key]
    assert changed == {**PUBLISHED_HEAD, **{f"calibration.{k}": v for k, v in PUBLISHED_CALIBRATION.items()}}


def test_seeds_are_done_one_after_another_and_headline_rows_have_more() -> None:
    table = BENCHMARKS["nwucla"]
    todo = jobs(table, table.rows, OPTIONS)
    assert [job.seed for job in todo] == sorted(job.seed for job in todo)
    counts = {row.name: sum(job.row is row for job in todo) for row in table.rows}
    assert counts == {row.name: 2 * row.seeds for row in table.rows}
    assert {row.seeds for row in table.rows} == {3, 5}
    assert len(jobs(table, table.rows[:2], Options(Path("o"), Path("w"), seeds=1))) == 4


def test_rows_without_training_name_a_row_before_them() -> None:
    for table in BENCHMARKS.values():
        names = [row.name for row in table.rows]
        for place, row in enumerate(table.rows):
            assert row.trained_as is None or row.trained_as in names[:place]
            assert set(row.fused) <= set(names[:place])
            for part in map(table.row, row.fused):
                assert not part.fused and not part.body_weight and part.seeds >= row.seeds
    assert BENCHMARKS["ablation, nwucla"].row(FULL).overrides == ()


def test_the_name_of_a_run_folder() -> None:
    assert run_name(Row("+ tree loss, a=[b]"), Protocol({}, "leak_free"), 2) == "plus_tree_loss_a_b_leak_free_2"
