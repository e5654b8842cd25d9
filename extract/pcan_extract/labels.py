"""Label lists: which action is seen in which video."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pcan_pose.clip_list import are_placeholders, split_line
from pcan_pose.errors import DataError, first_faults
from pcan_pose.taxonomy import Taxonomy

SPLITS = ("train", "val", "test")
"""Splits that are recognised in the names of folders and of label lists."""


@dataclass(frozen=True)
class LabelList:
    """A label list: the actions of the videos of one split.

    Args:
        path: The file.
        split: The split's name.
        labels: File name (or the last folders and file name) -> action; None where the list holds placeholders.
    """

    path: Path
    split: str
    labels: dict[str, int | None]


def read_label_list(argument: str, taxonomy: Taxonomy) -> LabelList:
    """Return a label list: lines of a file name and an action, as ``0003_01_0001.mp4 9``.

    Args:
        argument: The list's path, whose name starts with train, val or test; or ``SPLIT=PATH``.
        taxonomy: The labels' tree.

    Raises:
        DataError: If the file cannot be read, its split is unknown, or lines are wrong; all of them are named.
    """
    split, _, rest = argument.rpartition("=")
    if split and not Path(argument).exists():
        path = Path(rest)
    else:
        path = Path(argument)
        named = re.match(rf"({'|'.join(SPLITS)})(?![a-z])", path.name.lower())
        split = named[1] if named else ""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: label list cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: label list is not text in UTF-8.") from error
    faults = []
    if not split:
        faults.append(f"{path}: the name does not say which split this is; write train={path}, or val=, or test=.")
    labels: dict[str, int | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, label = split_line(line) or ("", None)
        name = PurePosixPath(name.replace("\\", "/")).as_posix()
        if name == "." or label is None:
            faults.append(f"{path}:{number}: got {line.strip()!r}, expected a file name and an action ('a.mp4 9').")
        elif label >= taxonomy.num_actions:
            faults.append(f"{path}:{number}: action {label} is not in {taxonomy.name}'s 0..{taxonomy.num_actions - 1}.")
        elif name in labels:
            faults.append(f"{path}:{number}: {name} is named twice.")
        else:
            labels[name] = label
    if not labels and not faults:
        faults.append(f"{path}: label list without a line.")
    if faults:
        raise DataError(*first_faults(faults))
    if split == "test" and are_placeholders(labels):
        labels = dict.fromkeys(labels)
    return LabelList(path, split, labels)


def read_lists(arguments: Sequence[str], taxonomy: Taxonomy) -> tuple[list[LabelList], list[str]]:
    """Return the label lists that can be read, and the faults of the others; see `read_label_list`."""
    lists: list[LabelList] = []
    faults: list[str] = []
    for argument in arguments:
        try:
            lists.append(read_label_list(argument, taxonomy))
        except DataError as error:
            faults += error.faults
    return lists, faults
