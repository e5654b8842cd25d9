"""What commands refuse of the files that they are to write."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import click


def refuse_clashes(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Refuse files to write that are read as well, or that are one file.

    Args:
        outputs: What is to be written, by the option that names it.
        inputs: What is read.

    Raises:
        UsageError: For the first of them.
    """
    read = {path.resolve() for path in inputs}
    taken: dict[Path, str] = {}
    for option, path in outputs.items():
        place = path.resolve()
        if place in read:
            raise click.UsageError(f"{option} {path} is a file that is read; name another.")
        if place in taken:
            raise click.UsageError(f"{option} and {taken[place]} are one file, {path}: name one each.")
        taken[place] = option
