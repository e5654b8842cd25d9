"""What a run leaves behind: what became of each input, the failures, and the figures of the set."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pcan_extract.found import Found
from pcan_extract.plan import write_json
from pcan_extract.share import Share, jobs_of

Status = Literal["extracted", "kept", "failed", "waiting", "gone"]
"""What became of an input: extracted by this run, kept from an earlier one, failed, not reached, or removed by the user
before it was extracted."""


@dataclass(frozen=True)
class Record:
    """What became of one input.

    Args:
        clip_id: Its clip id.
        path: The file.
        status: What became of it; a clip whose overlay alone has failed is in the set.
        found: Counts of its frames, if it is in the set.
        seconds: Time that a worker spent on it in this run.
        error: What is wrong, or None.
    """

    clip_id: str
    path: str
    status: Status = "waiting"
    found: Found | None = None
    seconds: float = 0.0
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain containers for JSON."""
        found = self.found or Found()
        return {
            "clip_id": self.clip_id,
            "path": self.path,
            "status": self.status,
            "frames": found.frames,
            "detection_rate": _rate(found.body, found.frames),
            "hand_rate": _rate(found.hand, found.frames),
            "seconds": round(self.seconds, 3),
            "error": self.error,
        }


@dataclass(frozen=True)
class Failure:
    """An input that failed.

    Args:
        clip_id: Its clip id.
        path: The file.
        error: What is wrong.
    """

    clip_id: str
    path: str
    error: str


@dataclass(frozen=True)
class Summary:
    """The figures of a keypoint set and of the run that has just ended; of this job's share, where jobs share the work.

    Args:
        clips: Clips in the set.
        extracted: Clips that this run added.
        frames: Frames in the set.
        body_frames: Frames in which some body joint of somebody was found.
        hand_frames: Frames in which some hand joint was found; None if the layout has no hands.
        seconds: Wall time of this run's extraction.
        frames_per_second: Frames that this run extracted a second of wall time.
        failures: Inputs that failed, in the plan's order.
        overlays: Overlays that this run drew.
        notices: What else the user should know.
        absent: Files that a label list names and that were not found.
        unlisted: Videos that no label list names.
    """

    clips: int
    extracted: int
    frames: int
    body_frames: int
    hand_frames: int | None
    seconds: float
    frames_per_second: float
    failures: tuple[Failure, ...] = ()
    overlays: int = 0
    notices: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain containers for JSON."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        return content | {"failures": [asdict(failure) for failure in self.failures]}

    def to_text(self) -> str:
        """Return the figures as one line."""
        hands = "" if self.hand_frames is None else f", a hand in {_percent(self.hand_frames, self.frames)}"
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return (
            f"{self.clips} clips ({self.extracted} new{failed}), {self.frames} frames, a body in "
            f"{_percent(self.body_frames, self.frames)}{hands}; {self.frames_per_second:.1f} frames/s."
        )


def total_found(records: Iterable[Record]) -> Found:
    """Return the counts of all clips that are in the set."""
    return sum((record.found for record in records if record.found is not None), Found())


def failures_of(records: Iterable[Record]) -> tuple[Failure, ...]:
    """Return the failures among records, in their order."""
    return tuple(Failure(record.clip_id, record.path, record.error) for record in records if record.error is not None)


def write_reports(folder: Path, share: Share, records: Sequence[Record], seconds: float) -> None:
    """Return nothing; write ``report.json``, and ``failures.json`` if something failed.

    A job that shares the work writes ``report.2-of-3.json`` and ``failures.2-of-3.json``. Reports of another division
    of the work are removed, as they are no longer true.

    Args:
        folder: The keypoint set's folder.
        share: The job's share.
        records: What became of each input, in the plan's order.
        seconds: Wall time of the run's extraction.
    """
    statuses = Counter(record.status for record in records)
    found = total_found(records)
    new = sum(record.found.frames for record in records if record.found and record.status == "extracted")
    totals = {
        "inputs": len(records),
        **{status: statuses[status] for status in get_args(Status)},
        "frames": found.frames,
        "detection_rate": _rate(found.body, found.frames),
        "hand_rate": _rate(found.hand, found.frames),
        "seconds": round(seconds, 3),
        "frames_per_second": round(new / seconds, 1) if seconds else 0.0,
    }
    for kind in ("report", "failures"):
        for path in folder.glob(f"{kind}*.json"):
            if jobs_of(path.stem.removeprefix(kind)) not in (share.jobs, None):
                path.unlink()
    write_json(
        folder / f"report{share.suffix}.json", {"totals": totals, "inputs": [record.to_dict() for record in records]}
    )
    failures = [asdict(failure) for failure in failures_of(records)]
    path = folder / f"failures{share.suffix}.json"
    if failures:
        write_json(path, {"failed": failures})
    else:
        path.unlink(missing_ok=True)


def _rate(part: int | None, whole: int) -> float | None:
    return None if part is None or not whole else round(part / whole, 4)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
