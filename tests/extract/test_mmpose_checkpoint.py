import logging
import os
import pickle
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest
import torch

from pcan_extract.backends.mmpose_checkpoint import give_weights, read_checkpoint
from pcan_pose.errors import CheckpointError


class _RunsSomething:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


@pytest.fixture
def curve(monkeypatch):
    """Return an object that pickle takes for one of mmengine's training curves: an array and a method's name."""
    name = "mmengine.logging.history_buffer"
    kind = type("HistoryBuffer", (), {"__module__": name})
    module = ModuleType(name)
    module.HistoryBuffer = kind
    for parent in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    curve = kind()
    curve.history, curve.statistics = np.arange(3.0), getattr
    return curve


@pytest.fixture
def model():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read_beside_numpy_and_curves(model, curve, tmp_path, zipped):
    path = tmp_path / "a.pth"
    dataset = {"dataset_name": "d", "keypoint_id2name": {0: "nose"}, "sigmas": np.ones(1, np.float32)}
    content = {
        "state_dict": OrderedDict((f"module.{name}", weight) for name, weight in model.state_dict().items()),
        "meta": {"dataset_meta": dataset, "seed": np.int64(3)},
        "message_hub": {"loss": curve},
    }
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    weights, trained_on = read_checkpoint(path)
    assert list(weights) == list(model.state_dict())
    torch.testing.assert_close(weights["0.weight"], model.state_dict()["0.weight"])
    assert trained_on["keypoint_id2name"] == {0: "nose"}


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_and_not_run(model, tmp_path, zipped):
    path, trace = tmp_path / "a.pth", tmp_path / "was-run"
    torch.save(
        {"state_dict": model.state_dict(), "meta": _RunsSomething(trace)}, path, _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(CheckpointError, match=r"a\.pth: names posix\.mkdir, which could run code .* refused"):
        read_checkpoint(path)
    assert not trace.exists()


def test_plain_pickle_of_code_is_refused(tmp_path):
    path, trace = tmp_path / "a.pth", tmp_path / "was-run"
    path.write_bytes(pickle.dumps(_RunsSomething(trace)))
    with pytest.raises(CheckpointError, match="a.pth: "):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not a readable checkpoint"),
        (b"<html>404</html>", "not a readable checkpoint"),
        (None, "no such checkpoint"),
        ([1, 2], "holds no weights"),
        ({"state_dict": {"a": 1}}, "holds no weights"),
        ({"state_dict": {}}, "holds no weights"),
    ],
)
def test_faulty_files_are_named(tmp_path, content, fault):
    path = tmp_path / "a.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=rf"a\.pth: .*{fault}"):
        read_checkpoint(path)


def test_missing_weights_are_an_error(model, tmp_path):
    weights = model.state_dict()
    weights["other"] = weights.pop("0.bias")
    with pytest.raises(CheckpointError) as caught:
        give_weights(model, weights, tmp_path / "a.pth")
    assert caught.value.faults == (
        f"{tmp_path}/a.pth: not of this configuration: it lacks 0.bias.",
        f"{tmp_path}/a.pth: the configuration has no other.",
    )


def test_weights_of_another_shape_are_an_error(model, tmp_path):
    weights = {**model.state_dict(), "0.weight": torch.zeros(4, 2)}
    with pytest.raises(CheckpointError, match="size mismatch for 0.weight"):
        give_weights(model, weights, tmp_path / "a.pth")


def test_more_weights_are_a_warning(model, tmp_path, caplog):
    weights = {name: weight + 1 for name, weight in model.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        give_weights(model, {**weights, **{f"more{i}": torch.ones(1) for i in range(7)}}, tmp_path / "a.pth")
    assert "left out: more0, more1, more2, more3, more4 and 2 more." in caplog.text
    torch.testing.assert_close(model.state_dict()["0.bias"], weights["0.bias"])
