"""Torch tensors inside pickles as numpy arrays, without torch and without running anything that the pickle holds.

A pickled tensor is a call of `torch._utils._rebuild_tensor_v2` on a storage, and the storage is a call of
`torch.storage._load_from_bytes` on a file of its own: four small pickles (a magic number, a version, the machine, the
storage's description), the list of storages, then the numbers. The stand-ins here read just that.
"""

import io
import math
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_KINDS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<b1",
}


class _Kind:
    """Stands for a storage's class."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Storage:
    """Stands for a storage: numbers in a row."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: npt.NDArray[Any]) -> None:
        self.numbers = numbers

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a state for a storage")


class _Description(pickle.Unpickler):
    """Reads the small pickles of a storage's file, which refer to the storage's class and to nothing else."""

    def find_class(self, module: str, name: str) -> _Kind:
        if module != "torch" or name not in _KINDS:
            raise pickle.UnpicklingError(f"a tensor of {module}.{name}")
        return _Kind(name)

    def persistent_load(self, identity: Any) -> tuple[str, str, int]:
        what, kind, key, _device, count, view = identity
        if what != "storage" or not isinstance(kind, _Kind) or view is not None:
            raise pickle.UnpicklingError("a tensor's storage of a form that is not known")
        return kind.name, str(key), int(count)


class _LoadFromBytes:
    """`torch.storage._load_from_bytes`."""

    __slots__ = ()

    def __call__(self, content: object) -> _Storage:
        if not isinstance(content, bytes):
            raise pickle.UnpicklingError("a storage without its bytes")
        stream = io.BytesIO(content)
        magic, version, machine, (kind, key, count), keys = (_Description(stream).load() for _ in range(5))
        if (magic, version) != (_MAGIC, _VERSION) or keys != [key] or machine.get("little_endian") is not True:
            raise pickle.UnpicklingError("a tensor's storage of a form that is not known")
        stored = int.from_bytes(stream.read(8), "little")
        raw = content[stream.tell() :]
        dtype = np.dtype(_KINDS[kind])
        if count != stored or len(raw) != count * dtype.itemsize:
            raise pickle.UnpicklingError("a tensor's storage that is cut short")
        numbers = np.frombuffer(raw, dtype)
        if kind == "BFloat16Storage":
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        return _Storage(numbers)


class _RebuildTensor:
    """`torch._utils._rebuild_tensor_v2`."""

    __slots__ = ()

    def __call__(self, storage: object, offset: int, size: Any, stride: Any, *_: object) -> npt.NDArray[Any]:
        if not isinstance(storage, _Storage) or min(*size, *stride, offset, 0) < 0 or len(size) != len(stride):
            raise pickle.UnpicklingError("a tensor without its storage or its shape")
        if 0 in size:
            return np.empty((0,), storage.numbers.dtype)
        # Strides of 0 could ask for more memory than the file is large.
        if math.prod(size) > len(storage.numbers):
            raise pickle.UnpicklingError("a tensor larger than its storage")
        places = np.asarray(offset)
        for length, step in zip(size, stride, strict=True):
            places = places[..., None] + np.arange(length) * step
        # Looked up, not viewed: numpy then checks that every place lies inside the storage.
        return np.asarray(storage.numbers[places])


TENSORS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch.storage", "_load_from_bytes"): _LoadFromBytes(),
}
"""What `load_plain_pickle` takes as `also` to read tensors."""
