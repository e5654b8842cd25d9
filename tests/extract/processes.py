"""Extractions in a process of their own, to be killed, stopped or starved."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SCRIPT = """
import json, resource, signal, sys
from pathlib import Path

from fake_backends import FakeBackend
from pcan_extract import pipeline
from pcan_pose.cli import main

if __name__ == "__main__":
    # Started in the background of a shell, a process inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = json.loads(sys.argv[1])
    if (pids := settings.get("pids")) is not None:
        settings["pids"] = Path(pids)
    peaks = settings.pop("peaks", None)
    pipeline.create_backend = lambda name, options: FakeBackend(**settings)
    try:
        main(["extract", *sys.argv[2:]])
    finally:
        if peaks is not None:
            who = {"main": resource.RUSAGE_SELF, "worker": resource.RUSAGE_CHILDREN}
            Path(peaks).write_text(json.dumps({name: resource.getrusage(one).ru_maxrss for name, one in who.items()}))
"""


def command(folder: Path, backend: str, *arguments: object) -> list[str]:
    """Return a command that is ``pcan-pose extract`` with a fake backend.

    Args:
        folder: Where its script is written.
        backend: The fake's settings as JSON; ``peaks`` names a file for the most memory that was used.
        arguments: The command's arguments.
    """
    script = folder / "extract_with_fake.py"
    script.write_text(SCRIPT)
    return [sys.executable, str(script), backend, *map(str, arguments)]


def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """Return the running command, its standard error captured."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.01)
