"""Pickled tensors become arrays without torch; whatever else a pickle asks for is refused."""

import io
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pcan_pose.errors import DataError
from pcan_pose.unpickling import load_plain_pickle
from pcan_pose.unpickling_tensors import TENSORS, _LoadFromBytes, _RebuildTensor

PROJECT = Path(__file__).resolve().parents[1]


def load(folder: Path, content: Any, protocol: int = 2, change: tuple[bytes, bytes] = (b"", b"")) -> Any:
    stream = pickle.dumps(content, protocol=protocol)
    if change[0]:
        assert change[0] in stream
        stream = stream.replace(*change)
    (folder / "a.pkl").write_bytes(stream)
    return load_plain_pickle(folder / "a.pkl", also=TENSORS, needs="Convert it.")


def tensors() -> dict[str, torch.Tensor]:
    grid = torch.arange(24.0)
    return {
        "row of a batch": grid.view(4, 6)[2],
        "transposed": grid.view(4, 6).T,
        "steps": grid[1::3],
        "no axes": torch.tensor(3),
        "empty": torch.empty(0, 7),
        "float64": grid.double(),
        "half": grid.half(),
        "bfloat16": grid.bfloat16(),
        "int32": torch.arange(3, dtype=torch.int32),
        "int16": torch.arange(3, dtype=torch.int16),
        "int8": torch.arange(-1, 2, dtype=torch.int8),
        "uint8": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "with gradient": torch.ones(3, requires_grad=True),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", list(tensors()))
def test_tensors_are_read_as_arrays(tmp_path: Path, name: str, protocol: int) -> None:
    tensor = tensors()[name]
    got = load(tmp_path, {"t": [tensor, tensor]}, protocol)["t"]
    expected = tensor.detach().float().numpy() if tensor.dtype == torch.bfloat16 else tensor.detach().numpy()
    for array in got:
        assert isinstance(array, np.ndarray)
        assert array.dtype == expected.dtype
        if name != "empty":
            np.testing.assert_array_equal(array, expected)
        assert array.size == expected.size


def test_no_torch_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([torch.arange(3)], protocol=2))
    code = (
        "import sys; from pcan_pose.unpickling import load_plain_pickle\n"
        "from pcan_pose.unpickling_tensors import TENSORS\n"
        f"print(load_plain_pickle({str(tmp_path / 'a.pkl')!r}, also=TENSORS)[0].tolist(), 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[0, 1, 2] False"


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def test_code_beside_or_inside_a_tensor_is_not_run(tmp_path: Path) -> None:
    """Also where it hides in the bytes of a storage, which torch itself would unpickle."""
    target = tmp_path / "made"
    with pytest.raises(DataError, match=re.escape("holds code: posix.mkdir; refused. Convert it.")):
        load(tmp_path, [torch.ones(2), _Runs(target)])
    inside = pickle.dumps(_Runs(target), protocol=2)
    with pytest.raises(pickle.UnpicklingError, match="a tensor of posix.mkdir"):
        _LoadFromBytes()(inside)
    assert not target.exists()


def test_tensors_are_admitted_on_request_only(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([torch.ones(2)], protocol=2))
    with pytest.raises(DataError, match=r"holds code: torch\.\S+; refused. Keypoints need arrays"):
        load_plain_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "change",
    [(b"FloatStorage", b"GloatStorage"), (b"little_endian", b"lottle_endian"), (b"storageq", b"starageq")],
    ids=["kind", "byte order", "form"],
)
def test_damaged_storages_are_refused(tmp_path: Path, change: tuple[bytes, bytes]) -> None:
    with pytest.raises(DataError, match="not a readable pickle of arrays"):
        load(tmp_path, [torch.ones(2)], 4, change)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (3,), (1,)), (1, (2,), (1,)), (0, (2,), (9,)), (-1, (1,), (1,)), (0, (10**9,), (0,)), (0, (1,), (1, 1))],
    ids=["longer", "shifted", "wide steps", "before", "repeated", "other rank"],
)
def test_tensors_cannot_leave_their_storage(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    with pytest.raises((IndexError, pickle.UnpicklingError)):
        _RebuildTensor()(_storage(), offset, size, stride)


def test_a_shape_without_numbers_takes_no_memory() -> None:
    assert _RebuildTensor()(_storage(), 0, (0, 10**15), (1, 1)).size == 0


def test_cut_bytes_are_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="cut short"):
        _LoadFromBytes()(_storage_bytes()[:-1])
    with pytest.raises(pickle.UnpicklingError, match="without its bytes"):
        _LoadFromBytes()("text")


def _storage_bytes() -> bytes:
    """The file of a storage of two numbers, as it lies in a pickled tensor."""

    class Catch(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return (lambda content: content) if name == "_load_from_bytes" else (lambda *arguments: arguments)

    return bytes(Catch(io.BytesIO(pickle.dumps(torch.ones(2), protocol=4))).load()[0])


def _storage() -> Any:
    return _LoadFromBytes()(_storage_bytes())
