"""Annotation lists: file names, one a line, with or without an action; and what is a video by its name.

Shapes: N clips.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
import numpy.typing as npt

from pcan_pose.errors import DataError, first_faults

VIDEO_EXTENSIONS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp"}
    | {".mts", ".m2ts", ".vob", ".dv", ".asf", ".ogv", ".mxf"}
)
"""File name extensions of videos, in lower case."""

_MA52_TEST_NAME = re.compile(r"test\d{4}")


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
    return last.stem if is_video(last) else last.name


def is_video(path: PurePath) -> bool:
    """Whether a file is a video by its name."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def split_line(line: str) -> tuple[str, int | None] | None:
    """A file name and its action id, or None where a line has none; None for a line that is neither.

    Args:
        line: such as `test/my clip.mp4 9`: the last word is the action if it is a whole number, and there is another.
    """
    name, _, last = line.strip().replace("\t", " ").rpartition(" ")
    if name and last.isdecimal():
        return name.strip(), int(last)
    whole = f"{name} {last}".strip()
    return (whole, None) if whole and (not name or is_video(PurePath(whole))) else None


def are_placeholders(labels: Mapping[str, int | None]) -> bool:
    """Whether all labels are 0 and all names are as in MA-52's test list, whose labels are not public."""
    return set(labels.values()) == {0} and all(_MA52_TEST_NAME.fullmatch(clip_name(name)) for name in labels)


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

    The placeholders of MA-52's test list count as unknown.

    Args:
        path: a text file, such as MA-52's `test_list_videos.txt`.

    Raises:
        DataError: a file that cannot be read, an empty one, labels that are no whole number, names that occur twice;
            the last two at once.
    """
    path = Path(path)
    rows: dict[str, int | None] = {}
    first: dict[str, int] = {}
    faults: list[str] = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        if (row := split_line(line)) is None:
            faults.append(f"{path}, line {number}: {line.strip()!r} is not a file name and an action id of 0 or more.")
            continue
        video, label = row
        if (before := first.setdefault(clip_name(video), number)) != number:
            faults.append(f"{path}, line {number}: {video} is on line {before} already.")
        rows[video] = label
    if not rows and not faults:
        raise DataError(f"{path}: names no clip; write one file name a line, such as test0000.mp4.")
    if faults:
        raise DataError(*first_faults(faults))
    unknown = are_placeholders(rows)
    labels = np.asarray([-1 if unknown or label is None else label for label in rows.values()], np.int64)
    return ClipList(path=path, videos=tuple(rows), labels=labels)
