"""`evaluate` as a user runs it."""

from click.testing import CliRunner, Result

from pcan_pose.commands.evaluate import evaluate
from pcan_pose.errors import PcanError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate, [str(argument) for argument in arguments])


def fails(error: type[PcanError], *arguments: object) -> str:
    """The error's text."""
    outcome = run(*arguments)
    assert isinstance(outcome.exception, error), outcome.output
    return str(outcome.exception)
