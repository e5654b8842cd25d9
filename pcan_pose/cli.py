"""The command ``pcan-pose``: one group over the commands.

Each command imports what it needs when it runs, so that ``--help`` answers at once.
"""

import logging
import os
import sys
from typing import Any

import click

from pcan_pose import __version__
from pcan_pose.commands.config import config
from pcan_pose.commands.data import data
from pcan_pose.commands.demo import demo
from pcan_pose.commands.evaluate import evaluate
from pcan_pose.commands.export import export
from pcan_pose.commands.extract import extract
from pcan_pose.commands.report import report
from pcan_pose.commands.test import test
from pcan_pose.commands.train import train
from pcan_pose.errors import PcanError, did_you_mean


class _Commands(click.Group):
    """A group that prints a user's faults one a line, and names the nearest command for an unknown one."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except PcanError as error:
            # Under torchrun every process meets the same fault; the first one says it.
            if os.environ.get("RANK", "0") == "0":
                for fault in error.faults:
                    click.echo(f"error: {fault}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            # What has no name is no file of the user's, such as a pipe that was closed.
            if error.filename is None or context.params["verbose"]:
                raise
            fault = f"{os.fsdecode(error.filename)}: {error.strerror or type(error).__name__}"
            click.echo(f"error: {fault}; see to it that it can be read and written, or name another.", err=True)
            sys.exit(1)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}.{did_you_mean(args[0], self.commands)}", context)
        return super().resolve_command(context, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, package_name="pcan-pose", prog_name="pcan-pose")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what is done.")
def main(verbose: bool) -> None:
    """Recognise micro-actions from skeletons: videos in, keypoints, an action tree with prototypes, fused scores out.

    \b
    pcan-pose extract videos/ --out keypoints/      videos to keypoints
    pcan-pose train configs/ma52_pose.yaml          keypoints to a run
    pcan-pose test runs/ma52_pose --split val --out pose.parquet
    pcan-pose evaluate pose.parquet rgb.parquet     scores to fused metrics
    """  # noqa: D301 - click keeps the lines below a backspace character as they are
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


for _command in (extract, data, train, test, evaluate, report, export, config, demo):
    main.add_command(_command)
