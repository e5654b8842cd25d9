"""One tiny benchmark is run, stopped, resumed and printed."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_benchmark import COLUMNS, ROWS, TINY, counted
from torch import nn

from benchmarks import command_line, runs
from benchmarks.jobs import Options, config_digest
from benchmarks.measure import cost, device_name
from benchmarks.results_file import read_results
from benchmarks.rows import Benchmark, Protocol, Row
from benchmarks.runs import run
from benchmarks.sets import few_to_train, long_tailed_set, simulated_set
from pcan_pose.config import find_config
from pcan_pose.data.streams import input_channels
from pcan_pose.engine import test as testing
from pcan_pose.errors import ConfigError, DataError
from pcan_pose.fusion import joint_probability
from pcan_pose.keypoints import read_set
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet


def test_a_benchmark_resumes_and_prints(
    table: Benchmark, options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, fused_with = counted(monkeypatch), list[float]()

    def fuse_levels(scores: ScoreSet, weight: float) -> ScoreSet:
        fused_with.append(weight)
        return joint_probability(scores, weight)

    monkeypatch.setattr(runs, "joint_probability", fuse_levels)
    first = run(table, table.rows[:1], Options(**{**vars(options), "seeds": 1}))
    assert trained == ["full_0", "full_other_0"]
    assert [(entry["row"], entry.get("protocol"), entry["seed"]) for entry in first] == [
        ("full", None, 0),
        ("full", "other", 0),
    ]

    run(table, [table.rows[0], table.rows[2]], Options(**{**vars(options), "seeds": 1}))
    # The fused row looks at the runs that are there; its first row is not trained again.
    assert trained[2:] == ["full_0", "full_other_0"]
    assert fused_with == [0.5] * 3  # two splits of the one protocol, one of the other
    entries = read_results(options.out)
    fused, full = entries[2], entries[0]
    assert fused["row"] == "fused"
    scores = testing.test_run(options.work / "full_0", "half", device="cpu")
    expected = joint_probability(scores, 0.5)
    metrics = evaluate(expected.action_logits, expected.body_logits, expected.labels, expected.taxonomy).summary()
    assert {name: fused[f"half_{name}"] for name in metrics} == metrics
    assert (fused["seconds"], fused["parameters"]) == (full["seconds"], full["parameters"])
    assert fused["overrides"] == [*TINY, "--body-weight 0.5"]

    before = options.out.read_bytes()
    assert len(run(table, [table.rows[0], table.rows[2]], Options(**{**vars(options), "seeds": 1}))) == 4
    assert options.out.read_bytes() == before
    assert len(trained) == 4

    arguments = command_line.parser("", out=str(options.out), work=str(options.work)).parse_args
    monkeypatch.setattr(runs, "train", None)
    capsys.readouterr()
    command_line.main(table, arguments(["--print-only"]))
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["full", "fused"]
    assert lines[4] == "" and lines[5].endswith("Not measured yet: plain.")
    # What is trained may be some protocols alone; what is shown is all that there is.
    command_line.main(table, arguments(["--print-only", "--protocols", "other"]))
    assert capsys.readouterr().out == printed
    with pytest.raises(SystemExit, match="row 'full', seed 0, was measured with "):
        command_line.main(table, arguments(["--print-only", "--set", "optim.lr=0.2"]))


def test_an_edited_configuration_file_is_noticed(
    table: Benchmark, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = find_config("demo").read_text()
    copy = tmp_path / "demo_copy.yaml"
    copy.write_text(text)
    table, one = replace(table, config=str(copy)), replace(options, seeds=1)
    (entry, _) = run(table, table.rows[:1], one)
    assert entry["config"] == config_digest(str(copy))
    copy.write_text(f"# a comment changes nothing\n{text}")
    counted_again = counted(monkeypatch)
    run(table, table.rows[:1], one)
    assert counted_again == []
    copy.write_text(re.sub(r"label_smoothing: [\d.]+", "label_smoothing: 0.2", text))
    assert copy.read_text() != text
    with pytest.raises(DataError, match="row 'full', seed 0, was measured with other settings in its configuration"):
        run(table, table.rows[:1], one)


def test_a_member_of_a_committee_has_a_row_of_its_own(data: Path, options: Options) -> None:
    small = "encoder: {widths: [8], depths: [1], temporal_kernel: 3, reduction: 2}"
    members = f"members: [{{streams: [joint], {small}}}, {{streams: [bone, bone_motion], frames: 9, {small}}}]"
    committee = Row("committee", (f"encoder={{type: committee, {members}}}",), seeds=1)
    rows = (
        committee,
        Row("second member", trained_as="committee", members=(2,), seeds=1),
        Row("with neighbours", trained_as="committee", neighbours=5, seeds=1),
    )
    table = Benchmark("demo", "demo", rows, COLUMNS, lambda seed: data, (Protocol({"": "test"}),), TINY)
    whole, part, asked = run(table, rows, options)
    assert asked["overrides"] == [*whole["overrides"], "--neighbours 5"]
    assert asked["parameters"] == whole["parameters"] and asked["action_top1"] != whole["action_top1"]
    assert part["overrides"] == [*whole["overrides"], "--member 2"] and "seconds" not in part
    for number in ("parameters", "gflops"):
        assert 0 < part[number] < whole[number]
    scores = testing.test_run(options.work / "committee_0", "test", device="cpu", members=(2,))
    found = evaluate(scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy).summary()
    assert {name: part[name] for name in found} == found


def test_cost_counts_every_weight_and_product(table: Benchmark, options: Options, data: Path) -> None:
    run(table, table.rows[:1], Options(**{**vars(options), "seeds": 1}))
    found = cost(options.work / "full_0")
    config, recognizer, _, _ = testing.load_run(options.work / "full_0", "cpu")
    assert found["parameters"] == sum(p.numel() for p in recognizer.parameters()) > 1000
    assert 0 < found["seconds"] < 60

    products = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal products
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        products += output.numel() * weight[0].numel()

    for module in recognizer.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(count)
    x = torch.zeros(1, 1, config.data.frames, 17, input_channels(2, config.data.streams))
    recognizer.eval()(x, torch.ones(x.shape[:-1], dtype=torch.bool))
    # What the layers' sizes say, twice; the graph convolution's product with the adjacency comes on top.
    assert 2 * products / 1e9 <= found["gflops"] < 6 * products / 1e9


def test_a_row_that_does_not_fit_stops_before_anything_is_trained(
    table: Benchmark, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    wrong = Row("wrong", ("head.tree_wait=1",))
    with pytest.raises(ConfigError, match=r"unknown key 'head\.tree_wait'"):
        run(Benchmark(**{**vars(table), "rows": (*ROWS, wrong)}), [*ROWS, wrong], options)
    assert trained == []
    assert not options.out.exists()


def test_unknown_rows_are_named(table: Benchmark, tmp_path: Path) -> None:
    given = command_line.parser("", out="o", work="w").parse_args(["--rows", "fulll"])
    with pytest.raises(SystemExit, match="no row 'fulll'; the rows are 'full', 'plain', 'fused'"):
        command_line.main(table, given)


def test_some_protocols_alone(table: Benchmark, options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    two = replace(table, protocols=(*table.protocols, Protocol({"": "test"}, "other", ("optim.lr=0.2",))))

    def shown(*names: str) -> str:
        arguments = ["--commands", *(["--protocols", *names] if names else [])]
        command_line.main(two, command_line.parser("", out=str(options.out), work="w").parse_args(arguments))
        return capsys.readouterr().out

    assert "# full (other)" in shown() and "# full\n" in shown()
    assert "(other)" not in shown("main") and "# full\n" in shown("main")
    assert "# full (other)" in shown("other") and "# full\n" not in shown("other")
    with pytest.raises(SystemExit, match="no protocol 'leak'; the protocols are 'main', 'other'"):
        shown("leak")


def test_commands_are_printed_and_nothing_is_trained(
    table: Benchmark, options: Options, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = command_line.parser("", out=str(options.out), work="w").parse_args(["--rows", "plain", "--commands"])
    command_line.main(table, given)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["# plain", next(line for line in lines if "head.body_weight=0" in line)]
    assert "# plain (other)" in lines
    assert not options.out.exists()


def test_simulated_sets_are_made_once_and_have_few_clips_to_train_on(tmp_path: Path) -> None:
    folder = simulated_set(tmp_path, clips=520, train_clips=20, seed=1, ratio=4)
    made = read_set(folder)
    assert {name: len(made.in_split(name)) for name in ("train", "val", "test")} == {
        "train": 20,
        "val": 104,
        "test": 104,
    }
    assert 52 <= len(made.in_split("long_tail_test")) < 104
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert simulated_set(tmp_path, clips=520, train_clips=20, seed=1, ratio=4) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    plain = simulated_set(tmp_path, clips=520, train_clips=20, seed=1)
    assert plain != folder
    assert read_set(plain).split_names() == ["test", "train", "val"]


def test_a_long_tailed_copy_leaves_the_set_alone(data: Path, tmp_path: Path) -> None:
    copy = read_set(long_tailed_set(data, tmp_path, ("train", "test"), ratio=4, seed=0))
    assert copy.split_names() == ["half", "long_tail_test", "long_tail_train", "test", "train"]
    assert read_set(data).split_names() == ["half", "test", "train"]
    assert len(few_to_train(copy, 3).in_split("train")) == 3


def test_a_device_has_a_name() -> None:
    assert device_name(torch.device("cpu"))
