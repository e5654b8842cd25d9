"""Errors that a user can cause, each with what, where and what to do next."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class PcanError(Exception):
    """A user's fault, or several faults of one input; the command prints one line a fault.

    Args:
        faults: What is wrong, where, what was got, what was expected and the next step; one string a fault.
    """

    exit_code = 1

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.faults: tuple[str, ...] = faults

    def __str__(self) -> str:
        return "\n".join(self.faults)


class DataError(PcanError):
    """A file or a clip that cannot be used as it is."""


class ConfigError(PcanError):
    """A configuration key or value that is unknown or out of range."""


class SkeletonError(PcanError):
    """An unknown layout, or two layouts that cannot be mapped onto each other."""


class TaxonomyError(PcanError):
    """An action tree that is not a two-level tree, or two trees that do not agree."""


class CheckpointError(PcanError):
    """A checkpoint or run folder that is missing, damaged or of another model."""


class ExtractionError(PcanError):
    """A video or an extraction run that cannot be worked on."""


class MissingDependencyError(PcanError):
    """An optional package that is not installed; the text names the command that installs it."""


class ScoreError(PcanError):
    """A score file that is missing, damaged or does not fit the others."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return a hint to append to an error: the closest known name, or all of them.

    Args:
        word: The unknown name.
        options: The names that are known.
    """
    known = sorted(options)
    close = get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known)}."


def first_names(names: Sequence[str], limit: int = 5) -> str:
    """Return 'a, b, c, d, e and 7 more': enough to find the fault, short enough to read.

    Args:
        names: what to name, in order.
        limit: how many are written out.
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def first_faults(faults: Sequence[str], most: int = 20) -> list[str]:
    """Return the faults, or the first of very many and the number of the others."""
    if len(faults) <= most:
        return list(faults)
    return [*faults[:most], f"... and {len(faults) - most} faults more."]
