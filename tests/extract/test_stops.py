"""Runs that are stopped or killed, and the next run that goes on."""

import json
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from extractions import parts, run
from processes import command, running, start, wait_for

from pcan_pose.keypoints import read_set

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


def finished(out: Path, clips_per_shard: int = 3) -> int:
    """Return how many clips lie on the disk of a run whose shards are all full."""
    in_shards = clips_per_shard * len(list(out.glob("part-*")))
    return in_shards + len(list(out.glob(".staging/[!.]*.parquet")))


@pytest.mark.parametrize(
    ("number", "clips", "code"),
    [
        (signal.SIGKILL, 1, -signal.SIGKILL),
        (signal.SIGKILL, 4, -signal.SIGKILL),
        (signal.SIGINT, 2, 130),
        (signal.SIGTERM, 2, 143),
    ],
    ids=["killed-early", "killed-late", "ctrl-c", "terminated"],
)
def test_stopped_run_goes_on(number, clips, code, undisturbed, videos, tmp_path):
    out, pids = tmp_path / "set", tmp_path / "pids"
    pids.mkdir()
    backend = json.dumps({"seconds_per_frame": 0.12, "pids": str(pids)})
    process = start(command(tmp_path, backend, videos, "--out", out, "--workers", 2, "--clips-per-shard", 3))
    try:
        wait_for(lambda: finished(out) >= clips)
    finally:
        process.send_signal(number)
        _, told = process.communicate()
    assert process.returncode == code
    wait_for(lambda: not any(running(int(path.name)) for path in pids.iterdir()))
    kept = min(finished(out), 7)
    assert clips <= kept < 7
    if number != signal.SIGKILL:
        assert told.endswith(f"stopped; finished clips are kept in {out}: run the same command again to go on.\n")
        totals = json.loads((out / "report.json").read_text())["totals"]
        assert (totals["inputs"], totals["failed"]) == (7, 0)
        assert 0 < totals["extracted"] <= kept and totals["extracted"] + totals["waiting"] == 7
    assert run(videos, out).extracted <= 7 - clips
    assert parts(out) == parts(undisturbed)
    assert not list(out.glob(".*"))


@pytest.mark.slow
def test_twenty_kills_at_random_moments(film, tmp_path, make_video):
    """Kill a run again and again, while it starts, extracts, and writes shards; what comes out is the same."""
    chance = random.Random(0)
    folder, out = tmp_path / "videos", tmp_path / "set"
    for i in range(16):
        first = make_video(folder / f"cut{i:02d}.mp4", film[2 * i : 2 * i + 3 + i % 4])
        for copy in range(3):
            shutil.copy(first, folder / f"copy{copy}_{i:02d}.mp4")
    (folder / "broken.mp4").write_text("no video")
    options = {"clips_per_shard": 4}
    assert run(folder, tmp_path / "undisturbed", **options).clips == 64
    backend = json.dumps({"seconds_per_frame": 0.02})
    kills = 0
    for i in range(20):
        arguments = ("--out", out, "--workers", 1 + i % 2, "--clips-per-shard", 4)
        process = start(command(tmp_path, backend, folder, *arguments))
        before = finished(out, 4)
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 1.5))
        else:
            goal = before + chance.randint(1, 3)
            wait_for(lambda: finished(out, 4) >= goal or process.poll() is not None)  # noqa: B023
            time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        # Whatever is there is whole.
        if parts(out):
            read_set(out)
    assert kills == 20
    summary = run(folder, out, **options)
    assert (summary.clips, len(summary.failures)) == (64, 1)
    assert parts(out) == parts(tmp_path / "undisturbed")
    assert not list(out.glob(".*"))
