"""A set of more bytes than a process may have: mapped it is read, in memory the error says what helps."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_sets import clip, small_set

from pcan_pose.keypoints import write_set

ROOT = Path(__file__).resolve().parents[2]

LIMITED = """
import resource, sys
from pathlib import Path
import torch
from pcan_pose.config import DataConfig
from pcan_pose.data.clip_index import read_index
from pcan_pose.data.memory import explained
from pcan_pose.data.pose_source import PoseSource

torch.set_num_threads(1)
path = Path(sys.argv[1])
data = DataConfig(path=path, frames=8, memory=sys.argv[2])
read_index(path)  # Arrow's threads take their stacks
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
limit = int(status["VmData"].split()[0]) * 1024 + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
with explained(path):
    source = PoseSource.from_set(read_index(path), data, "cpu")
order = torch.randperm(len(source)).split(64)
batches = source.training_batches(order, slice(None), torch.Generator())
print(len(order), sum(bool(found.any()) for _, found in batches))
"""


@pytest.mark.slow
def test_a_set_of_more_bytes_than_the_process_may_have(tmp_path: Path) -> None:
    """100 MB of keypoints and 33 of scores in a process that may take 100 MB more than it has when all is imported."""
    one = clip("one", frames=128)
    clips = [replace(one, clip_id=f"c{i}") for i in range(100_000_000 // (128 * 17 * 3 * 4))]
    write_set(tmp_path / "set", small_set(*clips), clips_per_shard=512)
    # Arrow's other pools and glibc's arenas of further threads take room in advance.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}

    def run(memory: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LIMITED, str(tmp_path / "set"), memory, "100000000"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)

    done = run("map")
    assert (done.returncode, done.stdout) == (0, "60 60\n"), done.stderr
    failed = run("device")
    assert failed.returncode == 1 and "DataError: " in failed.stderr, failed.stderr
    assert "the set does not fit into memory (" in failed.stderr.splitlines()[-1], failed.stderr
