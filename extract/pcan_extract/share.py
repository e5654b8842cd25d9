"""Several jobs on one keypoint set, each with its share of the shards."""

import re
from dataclasses import dataclass
from typing import Self

from pcan_pose.errors import ConfigError

_SUFFIX = re.compile(r"\.\d+-of-(\d+)")


@dataclass(frozen=True)
class Share:
    """One job's share: of n jobs, job i makes every n-th shard.

    Args:
        job: This job, 1 to `jobs`.
        jobs: Jobs that work on the set, >= 1.

    Raises:
        ConfigError: If a number is out of range.
    """

    job: int = 1
    jobs: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.job <= self.jobs:
            raise ConfigError(f"shard {self.job}/{self.jobs}: the first number must be 1 to {max(self.jobs, 1)}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the share that a text names, as ``2/3``.

        Raises:
            ConfigError: If it names none.
        """
        job, slash, jobs = text.partition("/")
        if not (slash and job.isdecimal() and jobs.isdecimal()):
            raise ConfigError(f"shard {text!r}: expected this job and the number of jobs, as in 1/8.")
        return cls(int(job), int(jobs))

    def __str__(self) -> str:
        return f"{self.job}/{self.jobs}"

    @property
    def whole(self) -> bool:
        """Whether one job makes everything."""
        return self.jobs == 1

    @property
    def suffix(self) -> str:
        """What tells this job's files from the others', as ``.2-of-3``; empty if one job makes everything."""
        return "" if self.whole else f".{self.job}-of-{self.jobs}"

    def owns(self, shard: int) -> bool:
        """Return whether this job makes a shard."""
        return shard % self.jobs == self.job - 1


EVERYTHING = Share()
"""The share of a job that works alone."""


def jobs_of(suffix: str) -> int | None:
    """Return the number of jobs that a file's suffix speaks of, 1 for none; None if it is no job's suffix."""
    found = _SUFFIX.fullmatch(suffix)
    return int(found[1]) if found else None if suffix else 1
