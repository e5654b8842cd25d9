"""ONNX networks small enough to be written down, whose answers are known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx, which makes the test's networks")
pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def write_network(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    *,
    shape: Sequence[int | str],
    inputs: Sequence[str] = ("input",),
    kind: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Return the path of a new network of inputs of one shape."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def write_brightest(
    path: Path,
    *,
    joints: int = 17,
    batch: int | str = "N",
    half: bool = False,
    swapped: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Return a SimCC network of 24 x 32 pixels that puts every joint at the brightest column and row.

    Joint v's score is (v + 1) / V of the brightest normalised colour there, before it is limited to 1.
    """
    width, height = 24, 32
    kind = np.float16 if half else np.float32
    nodes = []
    constants = {"weights": ((np.arange(joints, dtype=kind) + 1) / joints).astype(kind).reshape(1, joints, 1, 1)}
    for name, axes, length in (("simcc_x", [1, 2], width), ("simcc_y", [1, 3], height)):
        constants[f"{name}_axes"] = np.array([1, 3])
        constants[f"{name}_bins"] = np.array([1, joints, 1, 2])
        constants[f"{name}_shape"] = np.array([0, joints, 2 * length])
        nodes += [
            helper.make_node("ReduceMax", ["input"], [f"{name}_1"], axes=axes, keepdims=0),  # (N, L)
            helper.make_node("Unsqueeze", [f"{name}_1", f"{name}_axes"], [f"{name}_2"]),  # (N, 1, L, 1)
            helper.make_node("Expand", [f"{name}_2", f"{name}_bins"], [f"{name}_3"]),  # (N, V, L, 2)
            helper.make_node("Mul", [f"{name}_3", "weights"], [f"{name}_4"]),
            helper.make_node("Reshape", [f"{name}_4", f"{name}_shape"], [name]),  # (N, V, 2 L)
        ]
    outputs = ["simcc_y", "simcc_x"] if swapped else ["simcc_x", "simcc_y"]
    precision = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    shape = [batch, 3, height, width]
    return write_network(path, nodes, constants, outputs, shape=shape, kind=precision, metadata=metadata)


def write_detector(
    path: Path, answer: np.ndarray, *, labels: np.ndarray | None = None, batch: int | str = "N", scale: float = 1 / 255
) -> Path:
    """Return a detector of 64 x 32 pixels whose boxes are fixed and whose scores follow the brightest blue.

    Args:
        path: The file.
        answer: float32 (P, 5 or more); its fifth column is multiplied by the brightest blue times scale.
        labels: int64 (P,), a second answer.
        batch: Pictures that it takes.
        scale: What makes 1 of the brightest blue.
    """
    fifth = (np.arange(answer.shape[1]) == 4).astype(np.float32)[None, None]
    constants = {
        "answer": answer.astype(np.float32)[None],
        "scale": np.array([[[scale]]], np.float32),
        "axis": np.array([2]),
        "first": np.array([0]),
        "second": np.array([1]),
        "fifth": fifth,
        "others": 1 - fifth,
        "one": np.array([1]),
    }
    nodes = [
        helper.make_node("Slice", ["input", "first", "second", "one"], ["blue"]),  # (N, 1, h, w)
        helper.make_node("ReduceMax", ["blue"], ["peak"], axes=[2, 3], keepdims=0),  # (N, 1)
        helper.make_node("Unsqueeze", ["peak", "axis"], ["peak_3"]),  # (N, 1, 1)
        helper.make_node("Mul", ["peak_3", "scale"], ["light"]),
        helper.make_node("Mul", ["light", "fifth"], ["lit"]),
        helper.make_node("Add", ["lit", "others"], ["factor"]),  # (N, 1, columns)
        helper.make_node("Mul", ["factor", "answer"], ["dets"]),  # (N, P, columns)
    ]
    outputs = ["dets"]
    if labels is not None:
        constants["classes"] = labels.astype(np.float32)[None]
        constants["nothing"] = np.zeros((1, 1), np.float32)
        nodes += [
            helper.make_node("Mul", ["peak", "nothing"], ["zeros"]),  # (N, 1)
            helper.make_node("Add", ["zeros", "classes"], ["labels"]),  # (N, P)
        ]
        outputs.append("labels")
    return write_network(path, nodes, constants, outputs, shape=[batch, 3, 32, 64])
