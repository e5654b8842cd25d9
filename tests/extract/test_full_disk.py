"""A disk without room: a clear error, nothing half-written, and the next run finishes."""

import shutil
import subprocess
import sys

import pytest
from extractions import parts
from fake_backends import FakeBackend
from processes import command, start

from pcan_extract.pipeline import extract
from pcan_extract.worker import write_fault
from pcan_pose.keypoints import read_set

# Enough for the plan and the first clips.
_ROOM = 24 * 1024
_ON_TINY_DISK = f"""
mount -t tmpfs -o size={_ROOM} none "$1"; disk="$1"; kept="$2"; shift 2
"$@"; code=$?
cp -a "$disk/set" "$kept"; exit $code
"""


def namespaces() -> bool:
    try:
        # A file system of its own in a namespace of its own needs no rights, where the system allows that.
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"],
            capture_output=True,
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's namespaces")
def test_disk_that_is_full(undisturbed, videos, tmp_path):
    if not namespaces():
        pytest.skip("this system lets no user mount a file system of his own")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    run = command(tmp_path, "{}", videos, "--out", disk / "set", "--workers", 1, "--clips-per-shard", 3)
    wrapped = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        _ON_TINY_DISK,
        "sh",
        str(disk),
        str(kept),
        *run,
    ]
    process = start(wrapped)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told.splitlines()[-1] == (
        f"error: {disk}/set: cannot be written (No space left on device); finished clips are kept: mend this, then "
        "run the same command again."
    )
    half = [path.name for path in kept.rglob(".*.tmp.*")]
    assert half == []
    finished = len(list(kept.glob(".staging/*.parquet")))
    assert 0 < finished < 7
    # More room: the folder goes on where it stopped.
    out = shutil.copytree(kept, tmp_path / "set")
    assert extract([videos], out, backend=FakeBackend(), workers=1, clips_per_shard=3).extracted == 7 - finished
    assert parts(out) == parts(undisturbed)
    assert len(read_set(out)) == 7


def test_file_size_that_is_limited(undisturbed, videos, tmp_path):
    resource = pytest.importorskip("resource", reason="this system limits no file's size")
    out = tmp_path / "set"
    run = command(tmp_path, "{}", videos, "--out", out, "--workers", 1, "--clips-per-shard", 3)
    largest = max(map(len, parts(undisturbed).values()))
    # Every clip fits, and the shards do not.
    process = start(run, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1)))
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"error: {out}: cannot be written (File too large); finished clips are kept" in told
    assert not list(out.rglob(".*.tmp.*"))
    assert len(list(out.glob(".staging/*.parquet"))) >= 1
    extract([videos], out, backend=FakeBackend(), workers=1, clips_per_shard=3)
    assert parts(out) == parts(undisturbed)


@pytest.mark.parametrize("error", [ValueError("no number"), FileNotFoundError(2, "No such file or directory")])
def test_other_errors_are_no_full_disk(error, tmp_path):
    assert write_fault(error, tmp_path) is None
