"""Reading pickles of arrays and plain containers without running anything that they hold.

No object of a class that the file names is ever made: numpy's part is played by stand-ins that build an array from its
shape, type and bytes. numpy's own unpickling would trust a crafted type description with raw pointers.
"""

import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError

# Numbers, booleans, bytes and text; never objects, records or pointers.
_TYPE_CODE = re.compile(r"(?:b1|[iu][1248]|f[248]|c8|c16|[SU]\d+)")
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")


class _Inert:
    """A name that a stream may refer to; the stream cannot change it, because it has no attributes."""

    __slots__ = ()

    def __setstate__(self, state: object) -> NoReturn:
        raise pickle.UnpicklingError("a state for something that has none")


class _ArrayClass(_Inert):
    """Stands for ``numpy.ndarray`` among the arguments of `_Reconstruct`."""

    __slots__ = ()


class _Type:
    """Stands for ``numpy.dtype`` while its byte order is not yet known."""

    __slots__ = ("dtype",)

    def __init__(self, code: object) -> None:
        if not isinstance(code, str) or not _TYPE_CODE.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of type {code!r}; only numbers and text are read")
        self.dtype: np.dtype[Any] = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, subtype, names, fields, *_ = state
        if (subtype, names, fields) != (None, None, None):
            raise pickle.UnpicklingError("an array of records; only numbers and text are read")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands for an array while its content is not yet known."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        # Python 2 wrote the bytes as text.
        content = content.encode("latin1") if isinstance(content, str) else content
        self.array = _from_bytes(content, kind, shape, "F" if fortran else "C")


class _TypeFactory(_Inert):
    __slots__ = ()

    def __call__(self, code: object, *_: object) -> _Type:
        return _Type(code)


class _Reconstruct(_Inert):
    """``numpy.core.multiarray._reconstruct``: an array whose content follows."""

    __slots__ = ()

    def __call__(self, kind: object, *_: object) -> _Array:
        if not isinstance(kind, _ArrayClass):
            raise pickle.UnpicklingError("an array of a class other than numpy.ndarray")
        return _Array()


class _Scalar(_Inert):
    """``numpy.core.multiarray.scalar``."""

    __slots__ = ()

    def __call__(self, kind: object, content: bytes | str) -> Any:
        content = content.encode("latin1") if isinstance(content, str) else content
        return _from_bytes(content, kind, (), "C")[()]


class _FromBuffer(_Inert):
    """``numpy.core.numeric._frombuffer``, which protocol 5 uses."""

    __slots__ = ()

    def __call__(self, content: bytes, kind: object, shape: Any, order: str, axes: Any = None) -> npt.NDArray[Any]:
        if order == "K" and axes is not None:
            return _from_bytes(content, kind, shape, "C").transpose(axes)
        return _from_bytes(content, kind, shape, order)


class _Latin1(_Inert):
    """``_codecs.encode`` as protocol 2 uses it, for bytes."""

    __slots__ = ()

    def __call__(self, text: str, codec: str) -> bytes:
        if codec != "latin1":
            raise pickle.UnpicklingError(f"bytes in the codec {codec!r}")
        return text.encode("latin1")


class _NoBytes(_Inert):
    """``bytes`` as protocol 2 uses it, for the empty ones."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _ArrayClass(),
    ("numpy", "dtype"): _TypeFactory(),
    **{(module, "_reconstruct"): _Reconstruct() for module in _MULTIARRAY},
    **{(module, "scalar"): _Scalar() for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _FromBuffer() for module in _NUMERIC},
    ("_codecs", "encode"): _Latin1(),
    ("collections", "OrderedDict"): OrderedDict,
    **{(module, "bytes"): _NoBytes() for module in ("builtins", "__builtin__")},
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset)},
}


KEYPOINT_NEEDS = "Keypoints need arrays and plain containers only."


class _RestrictedUnpickler(pickle.Unpickler):
    admitted: Mapping[tuple[str, str], Any] = _ADMITTED
    needs = KEYPOINT_NEEDS

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.admitted:
            raise DataError(f"holds code: {module}.{name}; refused. {self.needs}")
        return self.admitted[module, name]


def load_plain_pickle(
    path: str | Path, *, also: Mapping[tuple[str, str], Any] | None = None, needs: str = KEYPOINT_NEEDS
) -> Any:
    """Return what a pickle holds: containers, text, numbers, booleans, None, bytes and numpy arrays of numbers or text.

    Reads protocols 0 to 5, written with numpy 1 or 2, whichever of them is installed.

    Args:
        path: The file.
        also: Stand-ins for further names that the file may refer to, by module and name; none may run what it is given.
        needs: The sentence that follows a refusal: what such a file needs, or how to convert it.

    Raises:
        DataError: If the file is missing or damaged, or holds anything else; that is then not run.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            unpickler = _RestrictedUnpickler(stream, encoding="latin1")
            unpickler.admitted = {**(also or {}), **_ADMITTED}
            unpickler.needs = needs
            content = unpickler.load()
        return _resolve(content, {})
    except DataError as error:
        raise DataError(*(f"{path}: {fault}" for fault in error.faults)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except Exception as error:
        # A damaged or hostile stream can end in any exception.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not a readable pickle of arrays ({reason}).") from error


def _from_bytes(content: object, kind: object, shape: Any, order: Any) -> npt.NDArray[Any]:
    if not isinstance(kind, _Type) or not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError("an array without its bytes or its type")
    return np.frombuffer(bytes(content), kind.dtype).reshape(shape, order=order)


def _resolve(content: Any, done: dict[int, Any]) -> Any:
    """Return the content with arrays in the place of their stand-ins."""
    if isinstance(content, _Array):
        if content.array is None:
            raise pickle.UnpicklingError("an array without content")
        return content.array
    if isinstance(content, _Type | _Inert):
        raise pickle.UnpicklingError("a numpy class instead of an array")
    if not isinstance(content, dict | list | tuple):
        return content
    # Each container once: a small file can refer to one container very often.
    if id(content) not in done:
        if isinstance(content, dict):
            done[id(content)] = {key: _resolve(value, done) for key, value in content.items()}
        else:
            resolved = [_resolve(value, done) for value in content]
            done[id(content)] = tuple(resolved) if isinstance(content, tuple) else resolved
    return done[id(content)]
