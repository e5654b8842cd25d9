"""Files and folders that appear whole or not at all."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcan_pose.errors import DataError, PcanError

if TYPE_CHECKING:
    import numpy.typing as npt

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_STEM_BYTES = 200
_TEMPORARY = re.compile(r"\.(.*)\.\d+\.tmp(\.[^.]*)?", re.DOTALL)


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` when the block ends well and vanishes when it does not.

    Args:
        path: The file to make or to replace; missing folders above it are made. The temporary file lies beside it,
            hidden, with the same suffix.

    Raises:
        IsADirectoryError: If the path is a folder, which a path without a name always is.
        OSError: If the disk is full; it names the path.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{_stem(path)}.{os.getpid()}.tmp{path.suffix}")
    try:
        with _naming(path):
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_array(path: str | Path, array: "npt.NDArray[Any]") -> None:
    """Write an array of plain numbers as `numpy.save` does, whole or not at all.

    Raises:
        OSError: If the disk is full; numpy's own error says neither that nor where.
    """
    import numpy as np

    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        file.write(np.ascontiguousarray(array).data)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a folder to fill, which becomes `path` when the block ends well and vanishes when it does not.

    Args:
        path: The folder to make or to replace; missing folders above it are made. What is there stays until the new
            one is complete, and is put back if that cannot take its place.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{_stem(path)}.", dir=path.parent))
    fresh, old = staging / "new", staging / "old"
    try:
        fresh.mkdir()  # with the rights that the user gives his folders, which `staging` has not
        with _naming(path):
            yield fresh
        try:
            if path.exists():
                path.rename(old)
            fresh.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
    finally:
        if path.exists() or not old.exists():
            shutil.rmtree(staging, ignore_errors=True)


def check_file_writable(path: str | Path, error: type[PcanError] = DataError) -> None:
    """Check, before the work, that `atomic_write` can make or replace a file there.

    Args:
        path: The file; missing folders above it are no fault, as they are made.
        error: What to raise.

    Raises:
        PcanError: `error`, if the path is a folder or a device, lies below a file, or may not be written.
    """
    path = Path(path)
    if os.path.isdir(path) or path.name in ("", ".."):
        raise error(f"{path}: cannot be written (it is a folder); name a file in it.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise error(f"{path}: cannot be written (it is no regular file); name another.")
    above = path.absolute().parent
    while not os.path.exists(above):
        above = above.parent
    if not os.path.isdir(above):
        raise error(f"{path}: cannot be written ({above} is a file, not a folder); name another place.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise error(f"{path}: cannot be written (no permission to write in {above}); name another place.")


def remove_half_written(paths: Iterable[Path]) -> None:
    """Return nothing; remove what writers of these files left when they were killed. Nobody may be writing them."""
    wanted = {(path.parent, _stem(path), path.suffix) for path in paths}
    for folder in {folder for folder, _, _ in wanted}:
        for path in folder.glob(".*.tmp*"):
            match = _TEMPORARY.fullmatch(path.name)
            if match and (folder, match[1], match[2] or "") in wanted:
                path.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Return a context in which a full disk's error, which names no file or a temporary one, names the path."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _stem(path: Path) -> str:
    """Return what tells of a path in its temporary file's name; file systems take names of up to 255 bytes."""
    return os.fsencode(path.stem)[:_STEM_BYTES].decode(errors="ignore")
