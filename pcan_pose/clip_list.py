"""The clips of a split in their official order, as annotation lists name them.

Shapes: N clips.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError

_VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class ClipList:
    """An annotation list.

    Attributes:
        path: the file.
        videos: N file names as the list writes them, each once.
        labels: (N,) int64 action ids, -1 where the list has none or holds placeholders.
    """

    path: Path
    videos: tuple[str, ...]
    labels: npt.NDArray[np.int64]


def clip_name(name: str) -> str:
    """The name that a clip id and a video's file name share: the last part of the path without a video's suffix.

    Args:
        name: a clip id such as `test/test0000`, or a file name such as `test0000.mp4`.
    """
    last = PurePosixPath(name.replace("\\", "/"))
    return last.stem if last.suffix.lower() in _VIDEO_SUFFIXES else last.name


def read_clip_ids(path: str | Path) -> tuple[str, ...]:
    """The clip ids of a text file with one a line, each once, in its order.

    Args:
        path: the file; empty lines are skipped.

    Raises:
        DataError: a file that cannot be read, or holds no id.
    """
    ids = tuple(dict.fromkeys(line.strip() for line in _lines(Path(path)) if line.strip()))
    if not ids:
        raise DataError(f"{path}: holds no clip id; write one a line.")
    return ids


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a text file ({error}).") from error


def read_clip_list(path: str | Path) -> ClipList:
    """The clips of an annotation list: one file name a line, with or without an action id behind it.

    Labels that are all 0 are placeholders, as in MA-52's test list, and count as unknown.

    Args:
        path: a text file, such as MA-52's `test_list_videos.txt`.

    Raises:
        DataError: a file that cannot be read, an empty one, labels that are no whole number, names that occur twice;
            the last two at once.
    """
    path = Path(path)
    rows = [(number, line.split()) for number, line in enumerate(_lines(path), 1) if line.strip()]
    if not rows:
        raise DataError(f"{path}: names no clip; write one file name a line, such as test0000.mp4.")
    faults = [
        f"{path}, line {number}: {' '.join(words)!r} is not a file name and an action id of 0 or more."
        for number, words in rows
        if len(words) > 2 or (len(words) == 2 and not words[1].isdecimal())
    ]
    first: dict[str, int] = {}
    for number, (video, *_) in rows:
        if (before := first.setdefault(clip_name(video), number)) != number:
            faults.append(f"{path}, line {number}: {video} is on line {before} already.")
    if faults:
        more = [f"{path}: {len(faults) - _SHOWN} more lines like these."] if len(faults) > _SHOWN else []
        raise DataError(*faults[:_SHOWN], *more)
    labels = np.asarray([int(words[1]) if len(words) == 2 else -1 for _, words in rows], np.int64)
    if not labels.any():
        labels[:] = -1
    return ClipList(path=path, videos=tuple(words[0] for _, words in rows), labels=labels)
