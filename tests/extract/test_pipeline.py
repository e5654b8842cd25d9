"""What a run makes of its videos, and what it says of those that it can make nothing of."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from extractions import IDS, parts, run
from fake_backends import FakeBackend

from pcan_extract.pipeline import extract
from pcan_pose.errors import ConfigError, ExtractionError
from pcan_pose.keypoints import read_header, read_set
from pcan_pose.skeleton import SKELETONS


def test_set_holds_every_clip(undisturbed, videos):
    found = read_set(undisturbed)
    assert sorted(path.name for path in undisturbed.iterdir()) == [
        "extract.json",
        *(f"part-0000{i}.parquet" for i in range(3)),
        "report.json",
    ]
    assert found.clip_ids == IDS
    assert found.sources == [f"{clip_id}.mp4" for clip_id in IDS]
    assert found.frames.tolist() == [4, 5, 6, 7, 8, 9, 10]
    assert (found.persons == 1).all()
    assert (found.width == 176).all() and (found.height == 144).all() and (found.fps == 25).all()
    header = read_header(undisturbed)
    assert (header.layout, header.dims, header.estimator) == ("openpose28", 2, "fake 1")
    assert header.taxonomy is None
    # The fake's joint v lies v below the top: the layout was mapped by name.
    source, target = SKELETONS["mediapipe_holistic"], SKELETONS["openpose28"]
    heights = found.keypoints[0, :, 1]
    assert heights[target.index("left_wrist")] == source.index("left_wrist")
    assert heights[target.index("right_pinky_tip")] == source.index("right_pinky_tip")
    assert heights[target.index("neck")] == (source.index("left_shoulder") + source.index("right_shoulder")) / 2


def test_summary_counts_the_set(videos, tmp_path):
    summary = run(videos, tmp_path / "set", backend=FakeBackend(persons=2))
    assert (summary.clips, summary.extracted, summary.frames) == (7, 7, 49)
    assert summary.body_frames == summary.hand_frames == 49
    assert summary.to_text().startswith("7 clips (7 new), 49 frames, a body in 100.0 %, a hand in 100.0 %; ")
    again = run(videos, tmp_path / "set", backend=FakeBackend(persons=2))
    assert (again.clips, again.extracted, again.frames_per_second) == (7, 0, 0)
    assert again.notices == ("7 of 7 clips are finished: kept.",)


def test_persons_keep_their_frames_together(one_clip, tmp_path):
    for persons in (1, 2):
        extract([one_clip], tmp_path / str(persons), backend=FakeBackend(persons=persons), workers=1, min_score=0)
    alone, together = (read_set(tmp_path / str(persons)).clip(0).keypoints for persons in (1, 2))
    assert together.shape == (2, 10, 28, 2)
    np.testing.assert_array_equal(together[0], alone[0])
    np.testing.assert_allclose(together[1] - together[0], np.broadcast_to([1000, 0], alone[0].shape), atol=1e-3)


def test_two_workers_write_the_same_bytes(undisturbed, videos, tmp_path):
    run(videos, tmp_path / "set", workers=2)
    assert parts(tmp_path / "set") == parts(undisturbed)


def test_nobody_found_keeps_the_frames(one_clip, tmp_path):
    for name, backend in (("none", FakeBackend(persons=0)), ("zero", FakeBackend(score=0.0))):
        summary = extract([one_clip], tmp_path / name, backend=backend, workers=1)
        clip = read_set(tmp_path / name).clip(0)
        assert clip.keypoints.shape == (1, 10, 28, 2)
        assert not clip.keypoints.any() and not clip.scores.any()
        assert (summary.frames, summary.body_frames, summary.hand_frames) == (10, 0, 0)


def test_bad_files_are_named_and_the_others_kept(undisturbed, videos, tmp_path):
    folder = shutil.copytree(videos, tmp_path / "videos")
    bad = {"first/0001": folder / "first/0001.mp4", "second/0005": folder / "second/0005.mp4"}
    bad["first/0001"].write_bytes(b"")
    bad["second/0005"].write_text("no video")
    bad["second/0006"] = folder / "second/0006.mp4"
    content = bad["second/0006"].read_bytes()
    bad["second/0006"].write_bytes(content[: content.index(b"moov") - 4])
    out = tmp_path / "set"
    summary = run(folder, out, workers=2)
    assert [failure.clip_id for failure in summary.failures] == list(bad)
    assert [failure.path for failure in summary.failures] == [str(path) for path in bad.values()]
    assert summary.failures[0].error == "empty file (0 bytes); replace the file."
    assert summary.failures[1].error.startswith("not a video that FFmpeg can read (")
    assert summary.failures[2].error.startswith("truncated: the MP4 index (moov) is missing")
    assert json.loads((out / "failures.json").read_text())["failed"][0] == {
        "clip_id": "first/0001",
        "path": str(bad["first/0001"]),
        "error": "empty file (0 bytes); replace the file.",
    }
    assert read_set(out).clip_ids == [clip_id for clip_id in IDS if clip_id not in bad]
    # Still bad: still named, nothing else done again.
    again = run(folder, out)
    assert (len(again.failures), again.extracted) == (3, 0)
    for clip_id, path in bad.items():
        shutil.copy(videos / f"{clip_id}.mp4", path)
    repaired = run(folder, out)
    assert (repaired.failures, repaired.extracted) == ((), 3)
    assert not (out / "failures.json").exists()
    assert parts(out) == parts(undisturbed)


def test_process_that_dies_costs_one_clip(film, videos, tmp_path, make_video):
    folder = shutil.copytree(videos, tmp_path / "videos")
    make_video(folder / "first/0002a.mp4", film[:4, :, :100])
    backend = FakeBackend(crash_width=100, seconds_per_frame=0.005)
    summary = run(folder, tmp_path / "set", workers=2, backend=backend)
    assert [failure.clip_id for failure in summary.failures] == ["first/0002a"]
    assert summary.failures[0].error.startswith("the worker process died on this file, twice (")
    assert read_set(tmp_path / "set").clip_ids == IDS


def test_surprise_costs_one_clip(film, one_clip, tmp_path, make_video):
    strange = make_video(tmp_path / "strange.mp4", film[:4, :, :100])
    summary = extract([one_clip, strange], tmp_path / "set", backend=FakeBackend(raise_width=100), workers=1)
    assert len(summary.failures) == 1
    assert summary.failures[0].error.startswith("unexpected ValueError: a surprise (fake_backends.py:")
    assert read_set(tmp_path / "set").clip_ids == ["one"]


def test_backend_that_answers_nonsense(one_clip, tmp_path):
    short = extract([one_clip], tmp_path / "short", backend=FakeBackend(stop_after=4), workers=1)
    assert short.failures[0].error == (
        "backend 'fake' answers with keypoints (4, 1, 75, 2), expected (10, M, 75, 2); report this."
    )
    above = extract([one_clip], tmp_path / "above", backend=FakeBackend(score=1.5), workers=1)
    assert above.failures[0].error == "backend 'fake' answers with scores outside [0, 1]; report this."


def test_backend_that_does_not_load_ends_the_run(videos, undisturbed, tmp_path):
    with pytest.raises(ExtractionError, match=r"^backend 'fake' cannot be loaded: weights.onnx: no such file.$"):
        run(videos, tmp_path / "set", backend=FakeBackend(broken=True), workers=2)
    run(videos, tmp_path / "set")
    assert parts(tmp_path / "set") == parts(undisturbed)


def test_overlays_are_drawn_once(videos, tmp_path):
    out, overlay = tmp_path / "set", tmp_path / "overlay"
    summary = run(videos, out, overlay=overlay, workers=2)
    assert summary.overlays == 7
    assert sorted(path.relative_to(overlay).as_posix() for path in overlay.rglob("*.mp4")) == [f"{i}.mp4" for i in IDS]
    (overlay / "second/0004.mp4").unlink()
    for name in ("0004", "another"):
        (overlay / f"second/.{name}.1.tmp.mp4").write_bytes(b"half")
    assert run(videos, out, overlay=overlay).overlays == 1
    # A killed worker's goes, what another job has under way stays.
    assert [path.name for path in overlay.rglob(".*")] == [".another.1.tmp.mp4"]
    with pytest.raises(ConfigError, match="overlays below the input folder"):
        run(videos, out, overlay=videos / "overlay")
    assert np.all(read_set(out).scores[:, :18] > 0)  # some fingers are outside the picture


def test_overlays_take_the_place_of_no_other_file(one_clip, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    video, other = Path(shutil.copy(one_clip, folder)), tmp_path / "own/one.mp4"
    other.parent.mkdir()
    shutil.copy(one_clip, other)
    before = video.read_bytes()
    for name in ("set", "set"):  # also of a finished clip
        with pytest.raises(ConfigError, match=rf"^{folder}/one\.mp4: is the video itself, and its overlay would"):
            extract([video], tmp_path / name, backend=FakeBackend(), workers=1, overlay=folder)
        extract([video], tmp_path / name, backend=FakeBackend(), workers=1)
    with pytest.raises(ConfigError, match=rf"^{other}: is no overlay, and one would take its place; name another"):
        extract([video], tmp_path / "new", backend=FakeBackend(), workers=1, overlay=other.parent)
    assert video.read_bytes() == other.read_bytes() == before
    other.unlink()
    # An overlay of another extraction is replaced.
    for name in ("new", "newer"):
        assert extract([video], tmp_path / name, backend=FakeBackend(), workers=1, overlay=other.parent).overlays == 1
