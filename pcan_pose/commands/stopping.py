"""Commands that may be stopped at any time and go on with the same command."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

SOME_FAILED = 3
"""Exit code of a command that has done all but some videos, which it names."""

_INTERRUPTED = 130
_TERMINATED = 143


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Return a context that Ctrl-C and SIGTERM end with a sentence and the shell's exit codes of the two.

    Args:
        kept: What is kept where, such as "finished clips are kept in keypoints".
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        click.echo(f"stopped; {kept}: run the same command again to go on.", err=True)
        sys.exit(_TERMINATED if isinstance(stop, SystemExit) else _INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)
