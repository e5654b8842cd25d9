"""What the command `evaluate` refuses before it reads anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pcan_pose.commands.output_files import refuse_clashes

_WRITTEN = {
    "out": "--out",
    "json_file": "--json",
    "save_fusion": "--save-fusion",
    "submission": "--submission",
    "confusion": "--confusion",
    "predictions": "--predictions",
    "plots": "--plots",
}
_BEGINNINGS = {
    "--json": b"{",
    "--save-fusion": b"{",
    "--submission": b"PK",
    "--confusion": b"level,",
    "--predictions": b"clip_id,",
}
"""How the files begin that the command writes; what begins otherwise is somebody else's."""


def check_usage(context: click.Context, scores: Sequence[Path]) -> None:
    """Refuse options that do not go together, and files to write that are read or are one file."""
    given = context.params
    resolved = [path.resolve() for path in (*scores, *given["fit"])]
    files = [*scores, *given["fit"]]
    twice = sorted({str(path) for path, full in zip(files, resolved, strict=True) if resolved.count(full) > 1})
    if twice:
        raise click.UsageError(f"given twice: {', '.join(twice)}.")
    weights, fit = given["weights"], given["fit"]
    if weights is not None and len(weights) != len(scores):
        raise click.UsageError(f"{len(weights)} weights for {len(scores)} score files: give one each, as in 1,0.5.")
    if fit and len(fit) != len(scores):
        raise click.UsageError(f"{len(fit)} files to fit on for {len(scores)} score files: give --fit once for each.")
    others = [given[name] for name in ("compare", "fusion", "subset", "clip_list") if given[name]]
    refuse_clashes(_outputs(given), [*files, *others])
    if given["joint"] and given["body_weight"]:
        raise click.UsageError("--joint is --body-weight 1: give one of them.")
    exclusive = [f"--{name}" for name in ("weights", "fit", "fusion") if given[name]]
    if len(exclusive) > 1:
        raise click.UsageError(f"{' and '.join(exclusive)} both say how to fuse: give one of them.")
    if given["fusion"] and context.get_parameter_source("space") is not ParameterSource.DEFAULT:
        raise click.UsageError("--fusion holds the space to average in: leave --space out.")
    if given["fit_body_weight"] and (given["joint"] or given["body_weight"]):
        raise click.UsageError("--fit-body-weight chooses the body parts' weight: leave --joint and --body-weight out.")
    for name in ("fit_body_weight", "allow_same_clips", "save_fusion"):
        if given[name] and not fit:
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --fit.")
    if given["clip_list"] and not given["submission"]:
        raise click.UsageError("--clip-list belongs to --submission.")
    for name, suffix in (("submission", ".zip"), ("confusion", ".csv"), ("predictions", ".csv")):
        if given[name] is not None and given[name].suffix.lower() != suffix:
            raise click.UsageError(f"--{name} {given[name]}: name a {suffix} file.")
    if given["compare"] and given["bootstrap"] < 2:
        raise click.UsageError("--compare needs resamples: give --bootstrap 2 or more.")
    if given["bootstrap"] == 1:
        raise click.UsageError("--bootstrap 1: one resample has no interval; give 2 or more, or 0 for none.")


def check_places(given: Mapping[str, Any]) -> None:
    """Check, before the work, that what is asked for can be written and replaces its like only.

    Raises:
        ScoreError: one line for each place.
    """
    from pcan_pose.atomic import check_file_writable
    from pcan_pose.errors import ScoreError
    from pcan_pose.scores import check_scores_writable

    faults: list[str] = []
    for name, place in _outputs(given).items():
        path = Path(place)
        try:
            if name == "--out":
                check_scores_writable(path)
            elif name != "--plots":
                check_file_writable(path, ScoreError)
                if _is_foreign(path, name):
                    raise ScoreError(f"{path}: already exists and is no file of {name}; name another file.")
            elif not path.is_dir():
                check_file_writable(path, ScoreError)
                if path.exists():
                    raise ScoreError(f"{path}: cannot be written (it is a file); name a folder.")
        except ScoreError as error:
            faults += error.faults
    if faults:
        raise ScoreError(*faults)


def _outputs(given: Mapping[str, Any]) -> dict[str, Path]:
    """Return what is to be written by option, without what goes to the terminal."""
    return {option: Path(given[name]) for name, option in _WRITTEN.items() if given[name] not in (None, "-")}


def _is_foreign(path: Path, option: str) -> bool:
    """Whether a file is there, is not empty and is none that the option writes."""
    if not path.exists():
        return False
    beginning = _BEGINNINGS[option]
    with path.open("rb") as stream:
        found = stream.read(len(beginning))
    return bool(found) and found != beginning
