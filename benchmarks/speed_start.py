"""How long the command takes to answer, and what was recorded of the extraction."""

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.speed_machine import Options
from benchmarks.speed_timing import Figure

EXTRACTION = Path(__file__).parent / "results" / "extract.json"
_ALONE = "Python alone"
_COMMANDS = {
    _ALONE: ["-c", "pass"],
    "import pcan_pose": ["-c", "import pcan_pose"],
    "pcan-pose --help": ["-m", "pcan_pose", "--help"],
}


def start(options: Options) -> tuple[list[Figure], list[str]]:
    """Return the shortest of the times of new processes: what disturbs one only makes it longer.

    Their ratios are to Python's own start, as how fast a machine starts processes says nothing of its arithmetic.
    """
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(max(options.rounds, 1 if options.quick else 7)):
        for name, command in _COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    best = {name: min(seconds) for name, seconds in times.items()}
    return [
        Figure(name, "", seconds, "s", ratio=best[_ALONE] / seconds, details={"runs": times[name]})
        for name, seconds in best.items()
    ], []


def extraction(options: Options) -> tuple[list[Figure], list[str]]:
    """Return the frames a second that ``python -m benchmarks.extract`` recorded; nothing is run."""
    if not EXTRACTION.is_file():
        return [], [f"extraction: {EXTRACTION.name} is not there; 'python -m benchmarks.extract' makes it"]
    recorded = json.loads(EXTRACTION.read_text(encoding="utf-8"))
    details = {"machine": recorded["machine"], "recorded": True}
    return [
        Figure(f"{recorded['backend']}, {name}", "", rate, "frames/s", details=details)
        for name, rate in recorded["frames_per_second"].items()
    ], []
