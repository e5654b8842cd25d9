"""Exporting as a user does it, on a tiny simulated set."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pcan_pose.cli import main
from pcan_pose.data.simulate import SimulationConfig, simulate
from pcan_pose.keypoints import write_set

pytest.importorskip("onnx", reason="needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

TINY = """
name: tiny
output: {output}
data: {{path: {data}, frames: 8}}
encoder: {{widths: [8], depths: [1]}}
train: {{epochs: 1, batch_size: 32, threads: 1}}
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_export(tmp_path: Path) -> None:
    write_set(tmp_path / "set", simulate(SimulationConfig(clips=104, subjects=2)))
    (tmp_path / "tiny.yaml").write_text(TINY.format(data=tmp_path / "set", output=tmp_path))
    assert run("train", tmp_path / "tiny.yaml").exit_code == 0
    file = tmp_path / "model.onnx"
    result = run("export", tmp_path / "tiny", "--onnx", file)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"wrote {file} (0.")
    assert "MB); ONNX Runtime differs from the run by at most " in result.output
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    shape = (2, 1, 20, 28)
    outputs = session.run(None, {"keypoints": np.ones((*shape, 2), np.float32), "scores": np.ones(shape, np.float32)})
    assert [output.shape for output in outputs] == [(2, 52), (2, 7)]

    again = run("export", tmp_path / "tiny", "--onnx", file)
    assert again.exit_code == 1
    assert again.output == (
        f"error: {file}: already exists; name another file, or allow it to be replaced with --overwrite.\n"
    )
    assert run("export", tmp_path / "tiny", "--onnx", file, "--overwrite", "--frames", 16).exit_code == 0
    assert (
        f"{tmp_path}: is a folder; name a file, such as" in run("export", tmp_path / "tiny", "--onnx", tmp_path).output
    )


def test_no_run(tmp_path: Path) -> None:
    result = run("export", tmp_path, "--onnx", tmp_path / "model.onnx")
    assert result.exit_code == 1
    assert "not a run folder" in result.output
