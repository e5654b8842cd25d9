"""Extractions whose batches go on from one video to the next, as on a GPU; here the network runs on the CPU."""

import json
import os
import shutil
import signal
import sys

import numpy as np
import pytest
from processes import start, wait_for
from tiny_onnx import write_brightest, write_detector

from pcan_extract.backends import BackendOptions, onnx
from pcan_extract.backends.onnx import OnnxBackend
from pcan_extract.decoding import DecodeAhead
from pcan_extract.estimation import ClipOptions, batches_across_videos, estimate_each
from pcan_extract.inputs import VideoInput
from pcan_extract.pipeline import extract
from pcan_extract.staging import Staging
from pcan_extract.worker import ExtractTask, run_task, start_worker
from pcan_pose.keypoints import Header, read_set

SCRIPT = """
import sys, time
from pcan_extract.backends import BackendOptions
from pcan_extract.backends.onnx import OnnxBackend
from pcan_extract.pipeline import extract

class Slow(OnnxBackend):
    def run_network(self, crops):
        time.sleep(0.5)
        return super().run_network(crops)

if __name__ == "__main__":
    model, videos, out = sys.argv[1:]
    backend = Slow(BackendOptions(model=model, device="cpu", batch_size=16))
    backend.across_videos = True
    extract([videos], out, backend=backend, layout="coco17", workers=1, clips_per_shard=3)
"""

COUNTS = [4, 5, 6, 7, 8, 9, 10]


@pytest.fixture(scope="module")
def make_backend(tmp_path_factory):
    """Return the function that makes a backend, across videos or not."""
    path = write_brightest(tmp_path_factory.mktemp("model") / "rtmpose.onnx")

    def made(across=True, **options):
        backend = OnnxBackend(BackendOptions(model=str(path), device="cpu", **{"batch_size": 16, **options}))
        assert not batches_across_videos(backend)
        backend.across_videos = across
        return backend

    return made


@pytest.fixture
def sizes(monkeypatch):
    """Return the sizes of the batches that are run in this process."""
    seen = []
    real = onnx._joints
    monkeypatch.setattr(
        onnx, "_joints", lambda network, pictures, most: (seen.append(len(pictures)), real(network, pictures, most))[1]
    )
    return seen


def files(folder):
    return sorted(folder.rglob("*.mp4"))


def estimates(backend, paths):
    with backend:
        return [each.result for each in estimate_each(backend, map(DecodeAhead, paths))]


def run(videos, out, backend, **options):
    return extract(
        [videos], out, **{"backend": backend, "layout": "coco17", "workers": 1, "clips_per_shard": 3, **options}
    )


def contents(out):
    return {clip.clip_id: (clip.keypoints, clip.scores) for clip in read_set(out).clips()}


def assert_equal(some, others):
    assert some.keys() == others.keys()
    for clip_id, (keypoints, scores) in some.items():
        np.testing.assert_allclose(keypoints, others[clip_id][0], atol=1e-3)
        np.testing.assert_allclose(scores, others[clip_id][1], atol=1e-3)


def test_as_few_batches_as_possible_all_of_one_size(make_backend, videos, sizes):
    across = make_backend()
    del sizes[:]
    together = estimates(across, files(videos))
    assert sizes == [16] * -(-sum(COUNTS) // 16)
    del sizes[:]
    alone = estimates(make_backend(across=False), files(videos))
    # The first is the picture by which the backend learns how many joints there are.
    assert sizes == [1, *COUNTS]
    for mine, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(mine.keypoints, other.keypoints, atol=1e-3)
        np.testing.assert_allclose(mine.scores, other.scores, atol=1e-3)


def test_people_of_all_sizes_of_pictures_and_nobody(film, make_video, make_backend, tmp_path, sizes):
    # The brighter the picture, the more of the three boxes are people; in the dark there is nobody.
    answer = np.array([[4, 2, 30, 30, 0.9], [34, 2, 60, 30, 0.6], [20, 4, 40, 28, 0.4]], np.float32)
    detector = str(write_detector(tmp_path / "rtmdet.onnx", answer, labels=np.zeros(3, np.int64), scale=1 / 2.6))
    paths = [
        make_video(tmp_path / "a.mp4", film[:5]),
        make_video(tmp_path / "dark.mp4", film[:4] // 16),
        make_video(tmp_path / "dim.mp4", film[5:9] // 3 * 2, rotation=90),
        make_video(tmp_path / "small.mp4", film[9:12, :96, :128]),
    ]
    options = {"detector": detector, "persons": 2, "batch_size": 8}
    alone = estimates(make_backend(across=False, **options), paths)
    assert alone[1].keypoints.shape[:2] == (4, 0)
    assert {each.keypoints.shape[1] for each in alone} == {0, 1, 2}
    across = make_backend(**options)
    del sizes[:]
    together = estimates(across, paths)
    assert set(sizes) == {8}
    for mine, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(mine.keypoints, other.keypoints, atol=1e-3)
        np.testing.assert_allclose(mine.scores, other.scores, atol=1e-3)


@pytest.fixture(scope="module")
def whole(make_backend, videos, tmp_path_factory):
    """Return the set of undamaged videos."""
    out = tmp_path_factory.mktemp("whole") / "set"
    summary = run(videos, out, make_backend())
    assert (summary.clips, summary.extracted, summary.frames, summary.failures) == (7, 7, sum(COUNTS), ())
    return out


def test_set_and_report_are_those_of_single_videos(make_backend, videos, whole, tmp_path):
    run(videos, tmp_path / "set", make_backend(across=False))
    assert_equal(contents(whole), contents(tmp_path / "set"))
    reports = [json.loads((out / "report.json").read_text())["inputs"] for out in (whole, tmp_path / "set")]
    for entry, other in zip(*reports, strict=True):
        assert entry.pop("seconds") > 0 and other.pop("seconds") > 0
        assert entry == other


def test_damaged_videos_cost_nothing_but_themselves(make_backend, videos, whole, tmp_path):
    folder = shutil.copytree(videos, tmp_path / "videos")
    cut = folder / "first/0002.mp4"
    cut.write_bytes(cut.read_bytes()[:-1500])
    (folder / "second/0005.mp4").write_bytes(b"")
    summary = run(folder, tmp_path / "set", make_backend())
    assert [failure.clip_id for failure in summary.failures] == ["first/0002", "second/0005"]
    assert summary.failures[1].error == "empty file (0 bytes); replace the file."
    expected = contents(whole)
    del expected["first/0002"], expected["second/0005"]
    assert_equal(contents(tmp_path / "set"), expected)
    # Repaired, they fill the set up to the same bytes.
    for name in ("first/0002.mp4", "second/0005.mp4"):
        shutil.copy(videos / name, folder / name)
    assert run(folder, tmp_path / "set", make_backend()).extracted == 2
    for part in whole.glob("part-*"):
        assert (tmp_path / "set" / part.name).read_bytes() == part.read_bytes()


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path / "set", Header("coco17", 2, "onnx"))


def test_each_video_has_its_outcome_and_its_time(make_backend, videos, staging, tmp_path):
    paths = files(videos)[:3]
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    paths.insert(1, broken)
    group = tuple(VideoInput(path.stem, path, path.name) for path in paths)
    start_worker(make_backend(), staging, ClipOptions())
    outcomes = run_task(ExtractTask(group))
    assert [outcome.frames for outcome in outcomes] == [4, 0, 5, 6]
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True]
    assert all(outcome.seconds > 0 for outcome in outcomes)
    assert all(staging.staged(video.clip_id).exists() is (video.path != broken) for video in group)


def test_disk_that_is_full_ends_the_whole_task(make_backend, videos, staging, monkeypatch):
    group = tuple(VideoInput(path.stem, path, path.name) for path in files(videos)[:3])
    start_worker(make_backend(), staging, ClipOptions())
    real = Staging.stage

    def stage(self, clip):
        if clip.clip_id == group[1].clip_id:
            raise OSError(28, "No space left on device")
        real(self, clip)

    monkeypatch.setattr(Staging, "stage", stage)
    outcomes = run_task(ExtractTask(group))
    assert [outcome.fatal for outcome in outcomes] == [False, True, True]
    assert "cannot be written (No space left on device)" in str(outcomes[2].error)


class Crashing(OnnxBackend):
    """Kills its process at pictures of this width."""

    def find_people(self, frames):
        if frames[0].shape[1] == 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().find_people(frames)


def test_video_that_kills_the_process_is_found_in_its_group(film, make_video, make_backend, videos, whole, tmp_path):
    folder = shutil.copytree(videos, tmp_path / "videos")
    make_video(folder / "first/0001a.mp4", film[:4, :, :100])
    backend = make_backend()
    backend.__class__ = Crashing
    summary = run(folder, tmp_path / "set", backend)
    assert [failure.clip_id for failure in summary.failures] == ["first/0001a"]
    assert summary.failures[0].error.startswith("the worker process died on this file, twice (")
    assert_equal(contents(tmp_path / "set"), contents(whole))


def test_resume_after_a_kill_arrives_at_the_same_bytes(make_backend, videos, whole, tmp_path):
    out = tmp_path / "set"
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    process = start([sys.executable, str(script), make_backend()._options.model, str(videos), str(out)])
    try:
        wait_for(lambda: len(list(out.glob(".staging/[!.]*.parquet"))) >= 2 or process.poll() is not None, 60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    # In the midst of a group, and of a batch.
    assert 0 < run(videos, out, make_backend()).extracted < 7
    for part in whole.glob("part-*"):
        assert (out / part.name).read_bytes() == part.read_bytes()


def test_a_gpu_batches_across_videos(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    path = str(write_brightest(tmp_path / "a.onnx"))
    assert batches_across_videos(OnnxBackend(BackendOptions(model=path, device="cuda:0")))
    assert not batches_across_videos(OnnxBackend(BackendOptions(model=path, device="cpu")))
