"""The recorded speed: one JSON object, each group of figures with what it was measured on.

A group that is measured again replaces the one of before; the others stay as they are.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed_timing import Figure
from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError


@dataclass(frozen=True)
class Group:
    """Figures that were measured together.

    Args:
        conditions: Machine, versions, date and settings.
        limits: What the machine reaches at most, by threads; empty where nothing is compared with it.
        figures: The numbers.
        skipped: What was left out, and why.
    """

    conditions: dict[str, Any]
    limits: dict[str, Any]
    figures: list[Figure]
    skipped: list[str]


def read_speed(file: Path) -> dict[str, Group]:
    """Return the groups of a file by their names, none if there is no file yet.

    Raises:
        DataError: If the file holds anything else.
    """
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            name: Group(**{**group, "figures": [Figure(**figure) for figure in group["figures"]]})
            for name, group in content["groups"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: is no record of the speed ({error!r}); name another --out.") from error


def write_speed(file: Path, measured: Mapping[str, Group]) -> dict[str, Group]:
    """Write the groups into a file, in the place of those of the same name, and return all of it.

    Raises:
        DataError: If the file holds anything else.
    """
    groups = {**read_speed(file), **measured}
    content = {"groups": {name: asdict(group) for name, group in groups.items()}}
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return groups
