"""The benchmark of speed runs as a whole, tiny, and its parts say what they should."""

from pathlib import Path

import click
import pytest
import torch

from benchmarks import speed, speed_latency, speed_networks, speed_start
from benchmarks.speed_file import read_speed
from benchmarks.speed_latency import export, latency, onnx_work
from benchmarks.speed_machine import Options
from benchmarks.speed_parts import loader, losses
from benchmarks.speed_timing import Figure
from pcan_pose import cli

CPU = torch.device("cpu")
QUICK = Options(CPU, threads=1, rounds=1, batches=(2,), frames=(8,), quick=True)


@pytest.fixture
def one_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """One precision is enough."""
    monkeypatch.setattr(speed_networks, "PRECISIONS", ("bf16",))


def test_loader_and_losses() -> None:
    figures, skipped = loader(QUICK)
    assert [figure.row for figure in figures] == [
        "gather alone",
        "gather and four streams",
        "training batch, augmented",
    ]
    assert all(figure.ratio and figure.copy_share and figure.unit == "clips/s" for figure in figures) and not skipped
    whole, gain, *shares = losses(QUICK)[0]
    assert gain.value == whole.details["times_the_looped_form"] > 2
    assert [figure.precision for figure in shares] == ["fp32", "bf16"]
    assert all(0 < figure.value < 100 for figure in shares)


def test_one_clip_without_folding_and_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_latency, "OURS", ("pose",))
    monkeypatch.setattr(speed_latency, "folding", lambda: None)
    monkeypatch.setattr(speed_latency, "_cannot_export", lambda: "no exporter")
    figures, skipped = latency(QUICK)
    assert [(figure.row, figure.quantity) for figure in figures] == [
        (row, quantity) for row in ("pose", "stgcn++") for quantity in ("latency p50", "latency p95")
    ]
    assert figures[0].value <= figures[1].value
    assert figures[0].ratio is not None and figures[1].ratio is None
    assert skipped == ["folded networks: pcan_pose.models.folding is not there", "pose, ONNX Runtime: no exporter"]


def test_an_exported_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    @click.command("export")
    @click.argument("run", type=click.Path(exists=True, path_type=Path))
    @click.option("--onnx", "file", type=Path)
    def made_up(run: Path, file: Path) -> None:
        assert (run / "last.pt").is_file()
        kinds = [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in {"keypoints": ["N", 1, 8, 28, 2], "scores": ["N", 1, 8, 28], "out": None}.items()
        ]
        node = onnx.helper.make_node("ReduceSum", ["scores"], ["out"])
        graph = onnx.helper.make_graph([node], "made_up", kinds[:2], kinds[2:])
        opset = [onnx.helper.make_opsetid("", 13)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), file)

    monkeypatch.setitem(cli.main.commands, "export", made_up)
    assert speed_latency._cannot_export() is None
    file, reason = export("pose", tmp_path, 8)
    assert reason is None
    (out,) = onnx_work(file, 8)()  # type: ignore[misc]
    assert float(out.sum()) == 8 * 28

    @click.command("export", context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def fails(rest: tuple[str, ...]) -> None:
        raise click.ClickException("cannot do it")

    monkeypatch.setitem(cli.main.commands, "export", fails)
    assert export("pose", tmp_path / "other", 8)[1] == "Error: cannot do it"


def test_the_record_of_the_extraction_is_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "extract.json"
    monkeypatch.setattr(speed_start, "EXTRACTION", file)
    figures, skipped = speed_start.extraction(QUICK)
    assert figures == [] and "extract.json is not there" in skipped[0]
    file.write_text('{"backend": "b", "machine": "chip", "frames_per_second": {"alone": 24.5}}')
    figures, skipped = speed_start.extraction(QUICK)
    assert figures == [Figure("b, alone", "", 24.5, "frames/s", details={"machine": "chip", "recorded": True})]
    assert skipped == []


def test_start_up_keeps_the_best_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = ["-c", "import time; time.sleep(0.2)"]
    monkeypatch.setattr(speed_start, "_COMMANDS", {"Python alone": ["-c", "pass"], "slow": slow})
    (alone, other), _ = speed_start.start(QUICK)
    assert all(figure.value == min(figure.details["runs"]) for figure in (alone, other))
    assert alone.ratio == 1 and other.ratio == alone.value / other.value
    assert other.value > 0.2


def test_the_command_records_prints_and_writes(
    tmp_path: Path, one_precision: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "speed.json", tmp_path / "page.md"
    page.write_text("above\n<!-- speed cpu -->\nold\n<!-- end of speed cpu -->\nbelow\n")
    common = ["--quick", "--rounds", "1", "--threads", "1"]
    speed.main([*common, "--only", "profile", "--out", str(out)])
    speed.main([*common, "--only", "loader", "--out", str(out), "--write-docs", "--docs", str(page)])
    groups = read_speed(out)
    assert list(groups) == ["profile", "loader"]
    assert len([figure for figure in groups["profile"].figures if figure.precision == "bf16"]) == 8
    assert groups["loader"].conditions["threads"] == 1 and "1" in groups["loader"].limits
    printed = capsys.readouterr().out
    assert page.read_text().startswith("above\n<!-- speed cpu -->\n\n### Where the time of a training step goes")
    assert page.read_text().endswith("<!-- end of speed cpu -->\nbelow\n")
    assert "| gather alone, N 8, T 8 |" in page.read_text() and "| gather alone, N 8, T 8 |" in printed
    speed.main([*common, "--only", "loader", "--check", str(out), "--tolerance", "0.99"])
    assert "nothing lost more than 99%" in capsys.readouterr().out
