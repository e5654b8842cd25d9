"""The submission file of MA-52's challenge on Codabench: `prediction.csv`, zipped without a folder.

Each clip has the five likeliest actions and the five likeliest body parts, likeliest first. Equal scores go to the
lower id, as in the metrics.

Shapes: N clips, K classes of one level.
"""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pcan_pose.atomic import atomic_write, check_file_writable
from pcan_pose.clip_list import clip_name
from pcan_pose.errors import ScoreError, first_names
from pcan_pose.scores import ScoreSet
from pcan_pose.taxonomy import MA52, Taxonomy

RANKS = 5
LEVELS = ("action", "body")
HEADER = ("vid", *(f"{level}_pred_{rank}" for level in LEVELS for rank in range(1, RANKS + 1)))
MA52_TEST_VIDEOS = tuple(f"test{number:04d}.mp4" for number in range(5586))
"""The videos of MA-52's test split in the order of its list."""

_MEMBER = "prediction.csv"
_MOST_FAULTS = 10


def write_submission(path: str | Path, scores: ScoreSet, videos: Sequence[str] | None = None) -> Path:
    """The path of the zipped submission, written whole and read back; equal scores give equal bytes.

    Args:
        path: the zip file to make; an existing one is replaced.
        scores: what to submit; clips are found by the last part of their ids (`test/test0000` is `test0000.mp4`).
        videos: file names of the clips asked for, in their order; by default MA-52's test split.

    Raises:
        ScoreError: clips that are missing, not asked for or there twice, a taxonomy that is not the challenge's, a
            place that cannot be written.
    """
    path = Path(path)
    check_file_writable(path, ScoreError)
    content = submission_csv(scores, videos)
    entry = zipfile.ZipInfo(_MEMBER)  # dated 1980, so that equal scores give equal bytes
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    try:
        with atomic_write(path) as temporary:
            with zipfile.ZipFile(temporary, "w") as archive:
                archive.writestr(entry, content)
            check_submission(temporary, scores.taxonomy, videos)
    except OSError as error:
        raise ScoreError(f"{path}: cannot be written ({error.strerror or error}).") from error
    return path


def submission_csv(scores: ScoreSet, videos: Sequence[str] | None = None) -> bytes:
    """The content of `prediction.csv`: a header and a line a clip, lines end with a carriage return and a line feed.

    Args:
        scores: as in `write_submission`.
        videos: as in `write_submission`.

    Raises:
        ScoreError: as `write_submission`, but for the place.
    """
    videos = _videos(videos, scores.taxonomy)
    narrow = [
        f"{level}: {width} classes, the submission names the {RANKS} likeliest."
        for level, width in zip(LEVELS, (scores.taxonomy.num_actions, scores.taxonomy.num_body_parts), strict=True)
        if width < RANKS
    ]
    if narrow:
        raise ScoreError(*narrow)
    rows = _rows(scores.clip_ids, videos)
    ranked = np.concatenate([_ranking(scores.action_logits[rows]), _ranking(scores.body_logits[rows])], axis=1)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows([video, *classes] for video, classes in zip(videos, ranked.tolist(), strict=True))
    return text.getvalue().encode()


def check_submission(path: str | Path, taxonomy: Taxonomy = MA52, videos: Sequence[str] | None = None) -> None:
    """Check a zipped submission of any origin as the challenge reads it.

    Args:
        path: the zip file.
        taxonomy: the classes.
        videos: as in `write_submission`.

    Raises:
        ScoreError: no zip, a folder or other files in it, another header, clips that are missing, not asked for, there
            twice or in another order, classes that are no number, out of range or named twice; the first ten of them.
    """
    path = Path(path)
    videos = _videos(videos, taxonomy)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.namelist() != [_MEMBER]:
                held = first_names(archive.namelist()) or "nothing"
                raise ScoreError(f"{path}: holds {held}, expected {_MEMBER} alone and in no folder.")
            lines = list(csv.reader(io.StringIO(archive.read(_MEMBER).decode(), newline="")))
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, csv.Error) as error:
        raise ScoreError(f"{path}: not a readable zip of a CSV file ({error}).") from error
    if not lines or tuple(lines[0]) != HEADER:
        first = ",".join(lines[0]) if lines else ""
        raise ScoreError(f"{path}: the first line is {first!r}, not {','.join(HEADER)!r}.")
    faults = []
    found = [line[0] if line else "" for line in lines[1:]]
    if found != list(videos):
        faults.append(_difference(found, videos) or "the clips are in another order than the list's.")
    for video, line in zip(found, lines[1:], strict=True):
        if fault := _line_fault(line[1:], taxonomy):
            faults.append(f"{video}: {fault}")
            if len(faults) == _MOST_FAULTS:
                break
    if faults:
        raise ScoreError(*(f"{path}: {fault}" for fault in faults))


def _videos(videos: Sequence[str] | None, taxonomy: Taxonomy) -> Sequence[str]:
    if videos is not None:
        return videos
    if taxonomy != MA52:
        raise ScoreError(f"taxonomy {taxonomy.name!r}: only ma52's test clips are known; give a list with --clip-list.")
    return MA52_TEST_VIDEOS


def _rows(clip_ids: Sequence[str], videos: Sequence[str]) -> npt.NDArray[np.int64]:
    """(N,) int64, the row of each video's clip."""
    names = [clip_name(clip_id) for clip_id in clip_ids]
    if fault := _difference(names, [clip_name(video) for video in videos]):
        raise ScoreError(f"submission: {fault}")
    row_of = {name: row for row, name in enumerate(names)}
    return np.asarray([row_of[clip_name(video)] for video in videos], np.int64)


def _difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    """What keeps the two from being the same clips, each once; empty where nothing does."""
    twice = [name for name, count in Counter(found).items() if count > 1]
    known, asked = set(found), set(wanted)
    parts = [
        f"{len(names)} {what} ({first_names(names)})"
        for what, names in (
            ("missing", [name for name in wanted if name not in known]),
            ("not asked for", [name for name in dict.fromkeys(found) if name not in asked]),
            ("there more than once", twice),
        )
        if names
    ]
    return f"{len(found)} clips for the {len(wanted)} asked for: {', '.join(parts)}." if parts else ""


def _ranking(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """(N, 5) int64, the likeliest classes of (N, K) logits."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :RANKS].astype(np.int64)


def _line_fault(cells: Sequence[str], taxonomy: Taxonomy) -> str:
    if len(cells) != len(HEADER) - 1:
        return f"{len(cells)} classes, expected {len(HEADER) - 1}."
    for level, part, width in zip(
        LEVELS, (cells[:RANKS], cells[RANKS:]), (taxonomy.num_actions, taxonomy.num_body_parts), strict=True
    ):
        if not all(cell.isdecimal() and int(cell) < width for cell in part):
            return f"{level} classes are {', '.join(part)}, expected whole numbers in 0..{width - 1}."
        if len(set(part)) < RANKS:
            return f"{level} classes are {', '.join(part)}: one is named twice."
    return ""
