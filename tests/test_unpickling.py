"""Pickles of both numpy generations are read; what holds code is named and not run."""

import collections
import io
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcan_pose.errors import DataError
from pcan_pose.unpickling import load_plain_pickle

OLD, NEW = b"numpy.core.", b"numpy._core."


def values() -> dict[str, Any]:
    grid = np.arange(24.0)
    return {
        "float32": grid.astype(np.float32).reshape(2, 3, 4),
        "float16": grid.astype(np.float16),
        "big_endian": grid.astype(">f8"),
        "fortran": np.asfortranarray(grid.reshape(4, 6)),
        "transposed": grid.reshape(2, 3, 4).transpose(1, 2, 0),
        "sliced": grid[::3],
        "empty": np.empty((0, 5), np.float32),
        "no_axes": np.array(3.5),
        "int64": np.arange(3),
        "uint8": np.arange(3, dtype=np.uint8),
        "bool": np.array([True, False]),
        "text": np.array(["a", "été"]),
        "bytes_array": np.array([b"a", b"bc"]),
        "scalar": np.float32(2.5),
        "int_scalar": np.int64(-7),
        "same_type": [np.zeros(2), np.ones(2)],
        "plain": {"a": (1, 2.5, None, True), "b": [{"c": "d"}], 3: b"\x00\xff", "e": b"", "f": 10**30},
        "sets": [{1, 2}, frozenset({"x"})],
        "ordered": collections.OrderedDict(z=1, a=2),
    }


def other_numpy(stream: bytes, protocol: int) -> bytes:
    """Return a stream as the other generation of numpy writes it: its module under the other name."""
    old_to_new = OLD in stream
    if protocol < 4:
        return stream.replace(OLD, NEW) if old_to_new else stream.replace(NEW, OLD)
    # From protocol 4 names carry their length, and frames carry theirs; a stream without frames is as valid.
    found, taken = (OLD, NEW) if old_to_new else (NEW, OLD)
    stream = re.sub(rb"\x95.{8}", b"", stream, flags=re.DOTALL)
    pattern = re.compile(rb"\x8c(.)(" + re.escape(found) + rb"\w+)", re.DOTALL)

    def rename(match: re.Match[bytes]) -> bytes:
        name = match[2][: match[1][0]].replace(found, taken)
        return b"\x8c" + struct.pack("B", len(name)) + name + match[2][match[1][0] :]

    return pattern.sub(rename, stream)


def load(folder: Path, stream: bytes) -> Any:
    (folder / "a.pkl").write_bytes(stream)
    return load_plain_pickle(folder / "a.pkl")


def fault(folder: Path, stream: bytes) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, stream)
    (text,) = caught.value.faults
    assert text.startswith(f"{folder / 'a.pkl'}: ")
    return text.removeprefix(f"{folder / 'a.pkl'}: ")


def same(got: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        for key, value in expected.items():
            same(got[key], value)
    elif isinstance(expected, list | tuple):
        assert type(got) is type(expected)
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            same(one, other)
    elif isinstance(expected, np.ndarray | np.generic):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
    else:
        assert got == expected
        assert type(got) is type(expected)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("generation", ["this", "other"])
def test_both_numpy_generations_and_every_protocol(tmp_path: Path, protocol: int, generation: str) -> None:
    stream = pickle.dumps(values(), protocol)
    if generation == "other":
        changed = other_numpy(stream, protocol)
        assert (NEW in changed) != (NEW in stream)
        assert (OLD in changed) != (OLD in stream)
        stream = changed
    same(load(tmp_path, stream), values())


class Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("os.system", ("touch {}",)),
        ("builtins.eval", ("open({!r}, 'w')",)),
        ("builtins.getattr", (1, "real")),
        ("builtins.bytearray", (5,)),
        ("subprocess.Popen", ("touch {}",)),
        ("numpy.core.multiarray.fromfile", ("{}",)),
        ("numpy.load", ("{}",)),
        ("functools.partial", (print,)),
        ("collections.Counter", ()),
        ("torch._utils._rebuild_tensor_v2", ()),
    ],
)
def test_code_is_named_and_not_run(tmp_path: Path, protocol: int, name: str, arguments: tuple[Any, ...]) -> None:
    """The stream is put together by hand, so that no such function need exist here."""
    trap = tmp_path / "trap"
    module, _, function = name.rpartition(".")
    filled = tuple(part.format(str(trap)) if isinstance(part, str) else part for part in arguments if part is not print)
    packed = pickle.dumps({"annotations": filled}, protocol)
    start, end = (b"\x80" + bytes([protocol]), packed[2:-1]) if protocol >= 2 else (b"", packed[:-1])
    stream = (
        start + f"c{module}\n{function}\n".encode() + b"(" + re.sub(rb"\x95.{8}", b"", end, flags=re.DOTALL) + b"tR."
    )
    text = fault(tmp_path, stream)
    assert text == f"holds code: {name}; refused. Keypoints need arrays and plain containers only."
    assert not trap.exists()


def test_a_real_object_with_code(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    stream = pickle.dumps({"annotations": [{"keypoint": np.zeros(3), "label": Call(Path.touch, trap)}]})
    assert fault(tmp_path, stream).startswith("holds code: pathlib.")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([1, "a", None], dtype=object), "an array of type 'O8'; only numbers and text are read"),
        (np.zeros(2, [("x", "f4")]), "an array of type 'V4'; only numbers and text are read"),
        (np.array(["2020-01-01"], "M8[D]"), "an array of type 'M8'; only numbers and text are read"),
        (np.dtype("f4"), "a numpy class instead of an array"),
        ([np.ndarray], "a numpy class instead of an array"),
        (Call(np.dtype, "O"), "an array of type 'O'; only numbers and text are read"),
    ],
)
def test_arrays_of_anything_but_numbers_and_text(tmp_path: Path, value: Any, message: str) -> None:
    assert fault(tmp_path, pickle.dumps(value, 4)) == f"not a readable pickle of arrays ({message})."


def array_stream(*, state: Any = None, base: bytes = b"cnumpy\nndarray\n") -> bytes:
    """Return an array as a stream put together by hand: its content and the class that it asks for."""
    dtype = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f4I00\nI01\ntR(I3\nX\x01\x00\x00\x00<NNNI-1\nI-1\nI0\ntb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(" + base + b"(I0\ntC\x01btR"
    content = pickle.dumps(state, 3)[2:-1] if state is not None else b"C\x08" + struct.pack("<2f", 1, 2)
    return b"\x80\x03" + array + b"(I1\n(I2\nt" + dtype + b"I00\n" + content + b"tb."


def test_the_crafted_array_is_right_before_it_is_broken(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load(tmp_path, array_stream()), np.array([1, 2], np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": b"too short"}, ""),
        ({"state": [1.0, 2.0]}, "an array without its bytes or its type"),
        ({"state": 5}, "an array without its bytes or its type"),
        ({"base": b"c__builtin__\nset\n"}, "an array of a class other than numpy.ndarray"),
    ],
)
def test_crafted_arrays(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    text = fault(tmp_path, array_stream(**change))
    assert text.startswith(f"not a readable pickle of arrays ({message}")


@pytest.mark.parametrize(
    "stream",
    [
        # An allowed function may not be changed for the pickles that are read after this one.
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n}X\x01\x00\x00\x00aI1\nsb.",
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\nN}X\x08\x00\x00\x00__call__I1\ns\x86b.",
        b"\x80\x03c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.",
        b"\x80\x03cbuiltins\nbytes\n(I99999999999\ntR.",
    ],
)
def test_tampering(tmp_path: Path, stream: bytes) -> None:
    assert fault(tmp_path, stream).startswith("not a readable pickle of arrays (")
    same(load(tmp_path, pickle.dumps(values(), 2)), values())


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1])
def test_truncated(tmp_path: Path, cut: int) -> None:
    stream = pickle.dumps(values(), 4)
    assert fault(tmp_path, stream[:cut]).startswith("not a readable pickle of arrays (")


def test_other_files(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    assert fault(tmp_path, stream.getvalue()).startswith("not a readable pickle of arrays (")
    with pytest.raises(DataError) as caught:
        load_plain_pickle(tmp_path / "none.pkl")
    assert str(caught.value) == f"{tmp_path / 'none.pkl'}: cannot be read (No such file or directory)."


def test_a_small_file_cannot_make_endless_work(tmp_path: Path) -> None:
    """Forty lists, each twice in the next: 2^40 paths, forty objects."""
    nested: list[Any] = []
    for _ in range(40):
        nested = [nested, nested]
    got = load(tmp_path, pickle.dumps(nested))
    assert got[0] is got[1]
    circle: list[Any] = []
    circle.append(circle)
    assert fault(tmp_path, pickle.dumps(circle)).startswith("not a readable pickle of arrays (")


def test_python_2_text_and_arrays(tmp_path: Path) -> None:
    """What Python 2 wrote as bytes comes as text; an array's bytes stay bytes."""
    assert load(tmp_path, b"\x80\x02U\x02a\xe9.") == "aé"
    content = b"U\x08" + struct.pack("<2f", 1, 2)
    stream = array_stream().replace(b"C\x08" + struct.pack("<2f", 1, 2), content)
    np.testing.assert_array_equal(load(tmp_path, stream), np.array([1, 2], np.float32))
