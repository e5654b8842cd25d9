"""Ray started or joined for the duration of a run, and kept from changing this process."""

import builtins
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pcan_pose.errors import ExtractionError

_STORE_BYTES = 256 * 1024**2
# Seconds that Ray's threads get to end.
_PATIENCE = 90.0

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray says on the screen that a worker died; the report says so too, and which video it was.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # An actor that reserves no GPU sees all of them, as a process of `pool` does.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def connected(address: str | None, count: int | None) -> Iterator[None]:
    """Return a context in which Ray runs."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.data

    if address is None and ray.is_initialized():
        yield
        return
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"num_cpus": count, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    try:
        if address is not None and ":" in address:
            # Ray would try for minutes.
            host, port = address.removeprefix("ray://").rsplit(":", 1)
            socket.create_connection((host, int(port)), timeout=10).close()
        with _sigterm_kept(), _silence():
            ray.init(address or "local", **options)
    except (OSError, RuntimeError, ValueError) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise ExtractionError(f"engine 'ray': no Ray {where} ({cause(error)}).") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Return a context that leaves this process's answer to SIGTERM as it was; Ray sets its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def print_kept() -> Iterator[None]:
    """Return a context that leaves the program's print as it was; Ray puts its own there when a worker dies."""
    before = builtins.print
    try:
        yield
    finally:
        builtins.print = before


@contextmanager
def threads_ended() -> Iterator[None]:
    """Return a context that waits for the threads that Ray Data has started in it, some of which outlive an iteration.

    Ray ends this process, without a word, when one of its threads comes back to it after its shutdown.
    """
    before = set(threading.enumerate())
    try:
        yield
    finally:
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith(("iter_threaded", "StreamingExecutor")):
                thread.join(_PATIENCE)


@contextmanager
def _silence() -> Iterator[None]:
    """Return a context in which nothing is written to standard error, by Ray's C++ code either."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def cause(error: BaseException) -> str:
    """Return the last line of the first error that has one; Ray quotes the traceback of its worker above it."""
    chain: BaseException | None = error
    while chain is not None and not str(chain).strip():
        chain = chain.__cause__
    return str(chain or error).strip().rpartition("\n")[2].strip().rstrip(".")
