"""Several jobs on one folder."""

import json
import shutil
import threading

import pytest
from extractions import parts
from fake_backends import FakeBackend

from pcan_extract.pipeline import extract
from pcan_extract.share import Share
from pcan_pose.errors import ExtractionError
from pcan_pose.keypoints import read_set


def run(videos, out, **options):
    return extract([videos], out, **{"backend": FakeBackend(), "workers": 1, "clips_per_shard": 2, **options})


@pytest.fixture(scope="module")
def alone(videos, tmp_path_factory) -> dict[str, bytes]:
    """Return the shards that one job makes."""
    out = tmp_path_factory.mktemp("alone") / "set"
    run(videos, out)
    assert len(parts(out)) == 4
    return parts(out)


def test_jobs_one_after_the_other(alone, videos, tmp_path):
    out = tmp_path / "set"
    second = run(videos, out, share=Share(2, 3))
    assert list(parts(out)) == ["part-00001.parquet"]
    assert second.notices == ("shard 2/3: 1 of the set's 4 files.",)
    assert (second.clips, second.frames) == (2, 6 + 7)
    for job, clips in ((1, 3), (3, 2)):
        assert run(videos, out, share=Share(job, 3)).extracted == clips
    assert parts(out) == alone
    assert not list(out.glob(".*"))
    # One job over all finds nothing to do, and its report takes the place of theirs.
    assert len(list(out.glob("report.*-of-3.json"))) == 3
    assert run(videos, out).extracted == 0
    assert [path.name for path in out.glob("report*.json")] == ["report.json"]
    assert parts(out) == alone


def test_jobs_at_the_same_time(alone, videos, tmp_path):
    out, faults = tmp_path / "set", []

    def job(number):
        try:
            run(videos, out, share=Share(number, 2), backend=FakeBackend(seconds_per_frame=0.01))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=job, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert parts(out) == alone
    assert not list(out.glob(".*"))


def test_a_job_leaves_the_others_files_alone(videos, tmp_path):
    folder, out = shutil.copytree(videos, tmp_path / "videos"), tmp_path / "set"
    run(folder, out)
    (out / ".part-00001.1.tmp.parquet").write_bytes(b"half, by job 2")
    (out / ".part-00002.1.tmp.parquet").write_bytes(b"half, by job 1")
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    for changed in ("first/0000", "first/0002"):
        shutil.copy(videos / "second/0006.mp4", folder / f"{changed}.mp4")
    summary = run(folder, out, share=Share(1, 2))
    assert summary.extracted == 1
    assert "1 files have changed since they were planned: extracted anew." in summary.notices
    assert [path.name for path in out.glob(".part-*")] == [".part-00001.1.tmp.parquet"]
    assert [path.name for path in before if path.stat().st_mtime_ns != before[path]] == ["part-00000.parquet"]
    # Job 2 has not missed that its clip has changed.
    assert run(folder, out, share=Share(2, 2)).extracted == 1
    assert read_set(out).frames.tolist() == [10, 5, 10, 7, 8, 9, 10]


def test_failures_by_job(videos, tmp_path):
    folder, out = shutil.copytree(videos, tmp_path / "videos"), tmp_path / "set"
    for name in ("first/0000", "first/0002"):
        (folder / f"{name}.mp4").write_bytes(b"")
    for job, name in ((1, "first/0000"), (2, "first/0002")):
        assert [failure.clip_id for failure in run(folder, out, share=Share(job, 2)).failures] == [name]
        assert json.loads((out / f"failures.{job}-of-2.json").read_text())["failed"][0]["clip_id"] == name
    assert [failure.clip_id for failure in run(folder, out).failures] == ["first/0000", "first/0002"]
    assert [path.name for path in out.glob("failures*")] == ["failures.json"]


def test_one_job_of_everything_waits_for_shares(videos, tmp_path):
    from pcan_extract.locks import FolderLock

    pytest.importorskip("fcntl", reason="this system has no file locks")
    with (
        FolderLock(tmp_path / "set/.staging", Share(1, 2)),
        pytest.raises(ExtractionError, match="another process extracts into this folder; wait for it"),
    ):
        run(videos, tmp_path / "set")
