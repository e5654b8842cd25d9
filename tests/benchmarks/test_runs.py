"""One tiny benchmark is run, stopped, resumed and printed."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_sets import clip, small_set
from torch import nn

from benchmarks import command_line, runs
from benchmarks.jobs import Options, config_digest
from benchmarks.measure import cost, device_name
from benchmarks.results_file import read_results
from benchmarks.rows import Benchmark, Column, Protocol, Row
from benchmarks.runs import run
from benchmarks.sets import few_to_train, long_tailed_set, simulated_set
from pcan_pose.config import find_config
from pcan_pose.data.streams import input_channels
from pcan_pose.engine import test as testing
from pcan_pose.errors import ConfigError, DataError
from pcan_pose.fusion import fuse, joint_probability
from pcan_pose.keypoints import read_set, write_set
from pcan_pose.metrics import evaluate
from pcan_pose.scores import ScoreSet, read_scores, write_scores

TINY = (
    "data.val_split=null",
    "data.frames=8",
    "encoder={type: pose, widths: [8], depths: [1], temporal_kernel: 3, reduction: 2}",
    "train.epochs=1",
    "train.batch_size=4",
    "train.device=cpu",
)
ROWS = (
    Row("full", seeds=2),
    Row("plain", ("head.body_weight=0", "head.tree_weight=0"), seeds=1),
    Row("fused", seeds=2, trained_as="full", body_weight=0.5),
)
COLUMNS = (Column("top-1", "action_top1"), Column("half", "half_action_top1"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set"
    splits: tuple[tuple[str, ...], ...] = (("train",), ("test",), ("train",), ("test", "half"))
    write_set(path, small_set(*(clip(f"c{i:02}", frames=6, label=i % 3, splits=splits[i % 4]) for i in range(24))))
    return path


@pytest.fixture
def table(data: Path) -> Benchmark:
    protocols = (Protocol({"": "test", "half_": "half"}), Protocol({"": "half"}, "other", ("data.frames=6",)))
    return Benchmark("demo", "demo", ROWS, COLUMNS, lambda seed: data, protocols, TINY)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(out=tmp_path / "results.json", work=tmp_path / "runs", device="cpu", threads=1)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of every run that is trained or looked at."""
    names: list[str] = []
    original: Callable[..., Any] = runs.train

    def train(config: Any, **more: Any) -> Any:
        names.append(config.name)
        return original(config, **more)

    monkeypatch.setattr(runs, "train", train)
    return names


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


def test_a_row_fuses_the_kept_scores_of_others(
    data: Path, options: Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = (
        Row("one", seeds=2),
        Row("other", ("optim.lr=0.3",), seeds=2),
        Row("both", seeds=2, fused=("one", "other")),
    )
    protocols = (Protocol({"": "test", "half_": "half"}),)
    table = Benchmark("demo", "demo", rows, COLUMNS, lambda seed: data, protocols, TINY)
    kept = replace(options, scores=tmp_path / "scores", seeds=1)

    # What a row fuses has to be there, or on its way; this is found before anything is trained.
    trained = counted(monkeypatch)
    with pytest.raises(DataError, match=r"both, seed 0: fuses row 'other', not measured yet; name it in --rows too"):
        run(table, [rows[0], rows[2]], kept)
    with pytest.raises(DataError, match=r"both, seed 0: fuses scores, and none are kept"):
        run(table, rows, options)
    assert trained == []

    one, other, both = run(table, rows, kept)
    assert trained == ["one_0", "other_0"]
    assert sorted(file.name for file in (tmp_path / "scores").iterdir()) == [
        "both_0.parquet",
        "one_0.parquet",
        "other_0.parquet",
    ]
    for split, prefix in (("test", ""), ("half", "half_")):
        parts = [testing.test_run(options.work / name, split, device="cpu") for name in ("one_0", "other_0")]
        whole = fuse(parts, space="logits")
        found = evaluate(whole.action_logits, whole.body_logits, whole.labels, whole.taxonomy).summary()
        assert {name: both[f"{prefix}{name}"] for name in found} == found
    kept_scores = [
        read_scores(tmp_path / "scores" / f"{name}_0.parquet").action_logits for name in ("one", "other", "both")
    ]
    np.testing.assert_allclose((kept_scores[0] + kept_scores[1]) / 2, kept_scores[2], rtol=0, atol=1e-6)
    assert both["overrides"] == [" ".join(["fused: one", *TINY]), " ".join(["fused: other", *TINY, "optim.lr=0.3"])]
    for number in ("parameters", "gflops", "seconds"):
        assert both[number] == one[number] + other[number]
    assert (both["torch"], both["threads"]) == (one["torch"], 1)
    assert run(table, rows, kept) == [one, other, both]

    # A part that was measured without its scores being kept cannot be fused.
    (tmp_path / "scores" / "one_0.parquet").unlink()
    options.out.write_text(json.dumps([one, other]))
    with pytest.raises(DataError, match=r"fuses the scores of row 'one', but there is no .*one_0\.parquet"):
        run(table, rows, kept)
    # Nor scores of another run of that name, nor of clips that the main split lacks.
    scores = testing.test_run(options.work / "one_0", "test", device="cpu")
    perfect = np.eye(scores.taxonomy.num_actions)[scores.labels]
    write_scores(tmp_path / "scores" / "one_0.parquet", replace(scores, action_logits=perfect))
    with pytest.raises(
        DataError, match=r"one_0\.parquet: has other metrics than .* holds for one, seed 0; take its en"
    ):
        run(table, rows, kept)
    write_scores(tmp_path / "scores" / "one_0.parquet", scores)
    elsewhere = replace(table, protocols=(Protocol({"": "test", "half_": "train"}),))
    with pytest.raises(DataError, match="kept of the main split, which does not have all of 'train'"):
        run(elsewhere, rows, kept)


def test_scores_are_kept_beside_the_results(table: Benchmark, tmp_path: Path) -> None:
    words = ["--rows", "full", "--seeds", "1", "--protocols", "main", "--device", "cpu", "--threads", "1"]
    for keeps in (True, False):
        folder = tmp_path / str(keeps)
        given = command_line.parser("", out=str(folder / "r.json"), work=str(folder / "w"))
        command_line.main(replace(table, keeps_scores=keeps), given.parse_args(words))
        assert (folder / "r_scores" / "full_0.parquet").is_file() == keeps


def test_older_entries_may_be_fused(data: Path, options: Options, tmp_path: Path) -> None:
    rows = (Row("one", seeds=1), Row("other", ("optim.lr=0.3",), seeds=1), Row("both", seeds=1, fused=("one", "other")))
    table = Benchmark("demo", "demo", rows, COLUMNS, lambda seed: data, (Protocol({"": "test"}),), TINY)
    kept = replace(options, scores=tmp_path / "scores")
    entries = run(table, rows[:2], kept)
    for name in ("precision", "threads"):
        del entries[0][name]
    del entries[1]["precision"]
    options.out.write_text(json.dumps(entries))
    both = run(table, rows, kept)[2]
    assert "precision" not in both and both["threads"] == 1


def test_a_row_that_fuses_has_nothing_else() -> None:
    with pytest.raises(ValueError, match="row 'both' fuses the scores of others and has nothing else of its own"):
        Row("both", ("optim.lr=1",), fused=("one", "other"))


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
