"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STEM_BYTES = 200


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` when the block ends well and vanishes when it does not.

    Args:
        path: The file to make or to replace; missing folders above it are made. The temporary file lies beside it,
            hidden, with the same suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # File systems take names of up to 255 bytes, which the path's own may have: its start tells enough.
    stem = os.fsencode(path.stem)[:_STEM_BYTES].decode(errors="ignore")
    temporary = path.with_name(f".{stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
