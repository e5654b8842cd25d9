"""The numbers of a benchmark: a JSON list, one entry for each row, protocol and seed.

An entry is flat: row, protocol (absent in the main one's), seed, a digest of the configuration file (absent in the
oldest), the overrides it was trained with, device, torch and the numbers, fractions in [0, 1].
"""

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcan_pose.atomic import atomic_write
from pcan_pose.errors import DataError

Entry = dict[str, Any]
Key = tuple[str, str, int]


def read_results(file: Path) -> list[Entry]:
    """Return the entries of a file, none if there is no file yet.

    Raises:
        DataError: If the file holds anything else.
    """
    if not file.exists():
        return []
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as JSON ({error}).") from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) and "row" in entry for entry in content):
        raise DataError(f"{file}: is no list of results; name another --out.")
    return content


def append_result(file: Path, entry: Entry) -> list[Entry]:
    """Write one more entry and return all of them; what other processes add meanwhile stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # The folder is locked, as the file itself is replaced and a lock file would stay behind.
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        entries = [*read_results(file), entry]
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    finally:
        os.close(folder)
    return entries


def key(entry: Entry) -> Key:
    """Return row, protocol and seed of an entry."""
    return entry["row"], entry.get("protocol", ""), entry["seed"]


def find(
    entries: Sequence[Entry], wanted: Key, overrides: Sequence[str], where: Path, *, config: str = ""
) -> Entry | None:
    """Return the entry of a row, protocol and seed, or None.

    Args:
        entries: The results.
        wanted: Row, protocol and seed.
        overrides: What it is to have been trained with.
        where: The file, for the message.
        config: Digest of the configuration file that it is to have been trained with.

    Raises:
        DataError: If it was trained with other overrides, or another content of the configuration file, than these, so
            that a table would mix two things.
    """
    entry = next((entry for entry in entries if key(entry) == wanted), None)
    if entry is None:
        return None
    row, protocol, seed = wanted
    this = f"{where}: row {row!r}{f' ({protocol})' if protocol else ''}, seed {seed}, was measured with "
    if entry.get("overrides", list(overrides)) != list(overrides):
        raise DataError(
            f"{this}{' '.join(entry['overrides']) or 'no overrides'}, now asked for with "
            f"{' '.join(overrides) or 'none'}; name another --out, or take the entry out."
        )
    if entry.get("config", config) != config:
        raise DataError(
            f"{this}other settings in its configuration file, which has changed since; name another --out, or take "
            "the entry out."
        )
    return entry
