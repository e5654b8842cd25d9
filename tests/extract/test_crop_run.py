"""Caches of crops: whole, resumed, repaired, and refused."""

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcan_extract import crop_checks, crop_run
from pcan_extract.crop_run import build_crops
from pcan_extract.cropping import CropClip
from pcan_pose.crop_cache import CropCache, CropSettings
from pcan_pose.errors import ConfigError, DataError, ExtractionError

SETTINGS = CropSettings(size=16, frames=3)
NAMES = [*(f"first/000{i}" for i in range(4)), *(f"second/000{i}" for i in range(4, 7))]


class Alone:
    """Workers in this process: what is tested here is what becomes of their answers."""

    def __init__(self, function, count, initializer, arguments) -> None:
        self._function = function
        initializer(*arguments)

    def run(self, tasks):
        return ((task, self._function(task)) for task in tasks)


@pytest.fixture
def alone(monkeypatch) -> None:
    monkeypatch.setattr(crop_run, "Workers", Alone)


@pytest.fixture
def clips(videos) -> list[CropClip]:
    return [
        CropClip(name, videos / f"{name}.mp4", (20.0, 10.0, 100.0), 4 + i, 176, 144) for i, name in enumerate(NAMES)
    ]


def build(clips, out, **options):
    return build_crops(clips, out, options.pop("settings", SETTINGS), **{"workers": 1, "clips_per_shard": 3} | options)


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


SHARDS = [f"part-0000{i}.{kind}" for i in range(3) for kind in ("npy", "parquet")]


def test_every_clip_is_stored(alone, clips, tmp_path):
    summary = build(clips, tmp_path / "crops")
    assert (summary.clips, summary.added, summary.pictures, summary.resampled, summary.failures) == (7, 7, 21, (), {})
    assert list(content(tmp_path / "crops")) == SHARDS
    cache = CropCache(tmp_path / "crops")
    assert (cache.clip_ids, cache.frames.tolist(), cache.settings) == (NAMES, [3] * 7, SETTINGS)
    again = build(clips, tmp_path / "crops")
    assert (again.clips, again.added) == (7, 0)


def test_two_processes_write_the_same_bytes(clips, tmp_path, monkeypatch):
    build(clips, tmp_path / "two", workers=2)
    monkeypatch.setattr(crop_run, "Workers", Alone)
    build(clips, tmp_path / "one")
    assert content(tmp_path / "two") == content(tmp_path / "one")


_KILLED = """
import os, signal, sys
from pathlib import Path
from pcan_extract import crop_run
from pcan_extract.cropping import CropClip
from pcan_pose.crop_cache import CropSettings

class Alone:
    def __init__(self, function, count, initializer, arguments):
        self.function = function
        initializer(*arguments)
    def run(self, tasks):
        for i, task in enumerate(sorted(tasks, key=lambda task: task.shard, reverse=True)):
            if i == 2:
                Path(out, "part-00001.npy").write_bytes(b"without its list")
                Path(out, ".part-00000.1.tmp.npy").write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            yield task, self.function(task)

crop_run.Workers = Alone
out, videos, *names = sys.argv[1:]
clips = [CropClip(n, Path(videos, n + ".mp4"), (20.0, 10.0, 100.0), 4 + i, 176, 144) for i, n in enumerate(names)]
crop_run.build_crops(clips, Path(out), CropSettings(size=16, frames=3), workers=1, clips_per_shard=3)
"""


def test_a_killed_run_goes_on_to_the_same_bytes(alone, clips, videos, tmp_path):
    out = tmp_path / "crops"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(out), str(videos), *NAMES], env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.returncode == -9
    # The last shard was written, one clip of another was staged, and rubbish lies about.
    assert CropCache(out).clip_ids == NAMES[6:]
    assert len(list((out / ".staging/clips").iterdir())) == 1
    assert build(clips, out).added == 6
    build(clips, tmp_path / "undisturbed")
    assert content(out) == content(tmp_path / "undisturbed")


def test_bad_videos_are_named_and_the_others_kept(alone, clips, videos, tmp_path):
    out, broken = tmp_path / "crops", tmp_path / "broken.mp4"
    broken.write_bytes(b"")
    bad = [
        replace(clips[0], path=None),
        replace(clips[1], path=broken),
        *clips[2:6],
        replace(clips[6], width=144, height=176),
    ]
    summary = build(bad, out)
    assert (summary.clips, summary.added) == (4, 4)
    assert summary.failures == {
        NAMES[0]: "no video of this name was found; name the folder with --videos, or take the clip out.",
        NAMES[1]: "empty file (0 bytes); replace the file.",
        NAMES[6]: "176x144 pixels, but the keypoints are of a picture of 144x176; give the video that they were "
        "extracted from.",
    }
    assert json.loads((out / "failures.json").read_text())["failed"][:2] == [
        {"clip_id": NAMES[0], "path": None, "error": summary.failures[NAMES[0]]},
        {"clip_id": NAMES[1], "path": str(broken), "error": summary.failures[NAMES[1]]},
    ]
    # Still bad: nothing is written anew.
    before = content(out)
    assert build(bad, out).failures == summary.failures
    assert content(out) == before
    repaired = build(clips, out)
    assert (repaired.clips, repaired.added, repaired.failures) == (7, 3, {})
    assert sorted(CropCache(out).clip_ids) == NAMES
    assert not (out / "failures.json").exists()


def test_what_failed_before_a_kill_does_not_move_the_others(alone, clips, tmp_path):
    bad = [clips[0], replace(clips[1], path=None), *clips[2:]]
    for name in ("killed", "undisturbed"):
        build(bad, tmp_path / name)
    for path in (tmp_path / "killed").glob("part-0000[12].*"):
        path.unlink()
    assert build(bad, tmp_path / "killed").added == 4
    assert content(tmp_path / "killed") == content(tmp_path / "undisturbed")


def test_clips_are_added(alone, clips, tmp_path):
    build(clips[:2], tmp_path / "crops")
    assert build(clips, tmp_path / "crops").added == 5
    assert CropCache(tmp_path / "crops").clip_ids == NAMES


def test_other_frames_than_the_keypoints_are_told(alone, clips, tmp_path):
    summary = build([clips[0], replace(clips[1], frames=99)], tmp_path / "crops")
    assert summary.resampled == (NAMES[1],)


def test_other_settings_videos_and_boxes_are_refused(alone, clips, tmp_path):
    out = tmp_path / "crops"
    build(clips[:3], out)
    with pytest.raises(ConfigError) as caught:
        build(clips, out, settings=CropSettings(size=8, frames=None))
    assert caught.value.faults == (
        f"{out}: size is 8, but the crops there have 16; use the same, or name another folder.",
        f"{out}: frames is None, but the crops there have 3; use the same, or name another folder.",
    )
    moved = replace(clips[0], box=(20.0, 12.0, 100.0))
    with pytest.raises(DataError) as caught:
        build([moved, replace(clips[1], path=clips[5].path), replace(clips[2], path=Path("gone.mp4"))], out)
    assert caught.value.faults == (
        f"{out}: the videos of 1 clips have changed since their crops were made: {NAMES[1]}; name another folder.",
        f"{out}: the keypoints of 1 clips have changed since their crops were made: {NAMES[0]}; name another folder.",
    )


def test_folders_of_something_else_are_refused(clips, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/part-00000.parquet").touch()
    with pytest.raises(DataError, match=r"set: holds more than crops \(part-00000.parquet\); name another folder"):
        build(clips, tmp_path / "set")
    with pytest.raises(DataError, match="is a file; name a folder for the crops"):
        build(clips, tmp_path / "set/part-00000.parquet")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["part-00000.parquet"]


def test_arrays_that_no_run_has_left_stay(alone, clips, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for name in ("part-00000.npy", "part-00007.npy"):
        np.save(own / name, np.arange(4))
    before = content(own)
    with pytest.raises(DataError, match=r"own: holds more than crops \(part-00000.npy, part-00007.npy\); name another"):
        build(clips, own)
    assert content(own) == before


def test_a_shard_whose_table_cannot_be_written_leaves_no_pictures(alone, clips, tmp_path, monkeypatch):
    def fail(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pcan_pose.crop_cache.pq.write_table", fail)
        with pytest.raises(ExtractionError, match="cannot be written"):
            build(clips, tmp_path / "crops")
    assert list((tmp_path / "crops").iterdir()) == []
    assert build(clips, tmp_path / "crops").added == 7


def test_too_little_room_is_refused_before_anything_is_decoded(clips, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=16_000)
    monkeypatch.setattr(crop_checks.shutil, "disk_usage", lambda path: free)
    with pytest.raises(ExtractionError) as caught:
        build(clips, tmp_path / "crops")
    assert str(caught.value) == (
        f"{tmp_path}/crops: 7 clips need 16.1 kB, 16.0 kB are free; make room, or take fewer --frames or a "
        "smaller --size."
    )
    assert not list((tmp_path / "crops").iterdir())


def test_a_folder_that_cannot_be_written_ends_the_run(alone, clips, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(crop_run, "save_array", full)
    with pytest.raises(
        ExtractionError, match="crops: cannot be written .No space left on device.; finished clips are kept"
    ):
        build(clips, tmp_path / "crops")
    assert not list((tmp_path / "crops").iterdir())
