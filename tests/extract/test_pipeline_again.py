"""Runs that go on where another one stopped."""

import errno
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from extractions import IDS, parts, run
from fake_backends import FakeBackend

from pcan_extract.staging import Staging
from pcan_pose.errors import DataError
from pcan_pose.keypoints import read_header, read_set


def test_second_run_changes_nothing(undisturbed, videos, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "set")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").glob("part-*")}
    run(videos, tmp_path / "set")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "set").glob("part-*")} == before
    assert parts(tmp_path / "set") == parts(undisturbed)


def test_changed_file_is_extracted_anew(undisturbed, videos, tmp_path):
    folder = shutil.copytree(videos, tmp_path / "videos")
    shutil.copy(folder / "first/0003.mp4", folder / "first/0002.mp4")
    run(folder, tmp_path / "set")
    assert read_set(tmp_path / "set").frames.tolist() == [4, 5, 7, 7, 8, 9, 10]
    shutil.copy(videos / "first/0002.mp4", folder / "first/0002.mp4")
    summary = run(folder, tmp_path / "set")
    assert "1 files have changed since they were planned: extracted anew." in summary.notices
    assert parts(tmp_path / "set") == parts(undisturbed)


def test_videos_out_of_reach_keep_their_keypoints(undisturbed, videos, tmp_path):
    # Links to a disk that is not mounted: their names are there, their files are not.
    disk, folder = shutil.copytree(videos, tmp_path / "disk"), tmp_path / "videos"
    for clip_id in IDS:
        link = folder / f"{clip_id}.mp4"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(disk / f"{clip_id}.mp4")
    run(folder, tmp_path / "set")
    for there in (False, True):
        (tmp_path / "elsewhere").rename(disk) if there else disk.rename(tmp_path / "elsewhere")
        summary = run(folder, tmp_path / "set")
        assert (summary.failures, summary.extracted) == ((), 0)
        assert parts(tmp_path / "set") == parts(undisturbed)


def test_a_bad_video_that_is_removed_is_no_failure_any_more(videos, tmp_path, monkeypatch):
    def unreachable(path):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    folder, out = shutil.copytree(videos, tmp_path / "videos"), tmp_path / "set"
    (folder / "first/0001.mp4").write_bytes(b"")
    assert [failure.clip_id for failure in run(folder, out).failures] == ["first/0001"]
    (folder / "first/0001.mp4").unlink()
    summary = run(folder, out)
    assert summary.failures == () and summary.clips == 6
    text = "unfinished clips of an earlier run whose files are gone are left out: first/0001."
    assert text in summary.notices
    assert not (out / "failures.json").exists()
    assert json.loads((out / "report.json").read_text())["totals"]["gone"] == 1
    # One that cannot be reached at the moment is not gone.
    monkeypatch.setattr(Path, "lstat", unreachable)
    (failure,) = run(folder, out).failures
    assert failure.clip_id == "first/0001"
    monkeypatch.undo()
    shutil.copy(videos / "first/0001.mp4", folder / "first/0001.mp4")
    assert run(folder, out).clips == 7 and read_set(out).clip_ids == IDS


def test_new_videos_are_appended(undisturbed, videos, tmp_path):
    # "first" holds one clip more than a shard: the second shard is begun, then filled.
    folder = tmp_path / "videos"
    shutil.copytree(videos / "first", folder / "first")
    out = tmp_path / "set"
    run(folder, out)
    assert read_set(out).clip_ids == IDS[:4]
    shutil.copytree(videos / "second", folder / "second")
    assert run(folder, out).extracted == 3
    assert parts(out) == parts(undisturbed)


def test_moved_videos_go_on(undisturbed, videos, tmp_path):
    folder = shutil.copytree(videos, tmp_path / "before")
    (folder / "first/0002.mp4").write_bytes(b"")
    run(folder, tmp_path / "set")
    shutil.copy(videos / "first/0002.mp4", folder.rename(tmp_path / "after") / "first/0002.mp4")
    assert run(tmp_path / "after", tmp_path / "set").extracted == 1
    assert parts(tmp_path / "set") == parts(undisturbed)


def test_leftovers_of_a_killed_run_are_removed(videos, tmp_path):
    out = tmp_path / "set"
    run(videos / "first", out)
    staging = out / ".staging"
    staging.mkdir()
    (staging / "unknown.parquet").write_bytes(b"half")
    (staging / ".half.1.tmp.parquet").write_bytes(b"half")
    (out / ".part-00000.1.tmp.parquet").write_bytes(b"half")
    run(videos / "first", out)
    assert not list(out.glob(".*"))


@dataclass
class HalfWritingBackend(FakeBackend):
    """Leaves what a worker leaves that dies while it stores its clip, and what another job has under way."""

    staging: Staging | None = None

    def estimate(self, frames, info):
        for name in (self.staging.staged(IDS[1]).stem, "another"):
            self.staging.staged(IDS[0]).with_name(f".{name}.1.tmp.parquet").write_bytes(b"half")
        return super().estimate(frames, info)


def test_half_written_clips_of_workers_that_died_are_removed(undisturbed, videos, tmp_path):
    out = tmp_path / "set"
    run(videos, out, backend=HalfWritingBackend(staging=Staging(out, read_header(undisturbed))))
    assert [path.name for path in out.rglob(".*.tmp.*")] == [".another.1.tmp.parquet"]
    assert parts(out) == parts(undisturbed)


def test_damaged_staged_clip_is_extracted_again(undisturbed, videos, tmp_path):
    out = tmp_path / "set"
    run(videos, out)
    staged = Staging(out, read_header(out)).staged(IDS[1])
    staged.parent.mkdir()
    staged.write_bytes(b"damaged")
    (out / "part-00000.parquet").unlink()
    assert run(videos, out).extracted == 3
    assert parts(out) == parts(undisturbed)


def test_damaged_shard_is_an_error_that_says_what_to_do(undisturbed, videos, tmp_path):
    out = shutil.copytree(undisturbed, tmp_path / "set")
    shard = out / "part-00001.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as caught:
        run(videos, out)
    assert str(caught.value).startswith(f"{shard}: not a readable Parquet file (")
    assert str(caught.value).endswith("The same command then extracts its clips anew.")
    shard.unlink()
    assert run(videos, out).extracted == 3
    assert parts(out) == parts(undisturbed)
