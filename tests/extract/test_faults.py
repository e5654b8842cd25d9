"""Files as people really have them: each gives a clip, or one line that says what is wrong with it."""

import json
import os
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from fake_backends import FakeBackend

from pcan_extract.inputs import find_inputs
from pcan_extract.pipeline import extract
from pcan_extract.video import VideoReader
from pcan_pose.errors import DataError, ExtractionError
from pcan_pose.keypoints import read_set

NOBODY = 65534


@pytest.fixture
def read():
    def frames(path):
        with VideoReader(path) as reader:
            return np.stack(list(reader)), reader.info

    return frames


def test_one_frame(film, tmp_path, make_video):
    extract([make_video(tmp_path / "one.mp4", film[:1])], tmp_path / "set", backend=FakeBackend(), workers=1)
    clip = read_set(tmp_path / "set").clip(0)
    assert clip.keypoints.shape == (1, 1, 28, 2) and clip.fps == 25


@pytest.mark.parametrize(("height", "width"), [(143, 151), (143, 150), (144, 151)])
def test_odd_sizes(height, width, film, tmp_path, make_video, read):
    # Half a row and half a column of colour: the pictures are larger than what is to be seen of them.
    path = make_video(tmp_path / "odd.avi", film[:3, :height, :width], codec="ffv1")
    frames, info = read(path)
    assert frames.shape == (3, height, width, 3) and (info.width, info.height) == (width, height)
    assert np.abs(frames.astype(int) - film[:3, :height, :width]).mean() < 6


def test_ten_bits(film, tmp_path, make_video, read):
    path = make_video(tmp_path / "ten.mkv", film[:3], codec="ffv1", pixels="yuv420p10le")
    with av.open(str(path)) as container:
        assert container.streams.video[0].format.components[0].bits == 10
    frames, _ = read(path)
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - film[:3]).mean() < 6


def test_4k(film, tmp_path, make_video, read):
    pictures = film[:2, :135, :].repeat(16, 1).repeat(22, 2)[:, :, :3840]
    frames, info = read(make_video(tmp_path / "large.mp4", pictures))
    assert (info.width, info.height) == (3840, 2160) and frames.shape == (2, 2160, 3840, 3)
    assert np.abs(frames[:, ::8, ::8].astype(int) - pictures[:, ::8, ::8]).mean() < 6


def test_turned_and_uneven(film, tmp_path, make_video):
    make_video(tmp_path / "videos/turned.mp4", film[:5], rotation=90)
    make_video(tmp_path / "videos/uneven.mp4", film[:5], times=[0, 40, 80, 200, 400])
    summary = extract([tmp_path / "videos"], tmp_path / "set", backend=FakeBackend(), workers=1)
    turned, uneven = read_set(tmp_path / "set").clips()
    assert (turned.width, turned.height) == (144, 176)
    assert uneven.fps == pytest.approx(10)
    assert "1 videos have a variable frame rate: their average is stored." in summary.notices


@pytest.mark.parametrize("name", ["Gespräch_приклад_面談 (1)", "x" * 251, "é" * 125], ids=["words", "long", "both"])
def test_names(name, film, tmp_path, make_video):
    short = make_video(tmp_path / "a.mp4", film[:3])
    video = short.rename(tmp_path / f"{name}.mp4")
    overlay = tmp_path / "overlay"
    for _ in range(2):
        summary = extract([video], tmp_path / "set", backend=FakeBackend(), workers=1, overlay=overlay)
        assert summary.failures == ()
    assert read_set(tmp_path / "set").clip_ids == [name]
    assert (overlay / f"{name}.mp4").exists()
    report = json.loads((tmp_path / "set/report.json").read_text(encoding="utf-8"))
    assert (report["inputs"][0]["clip_id"], report["inputs"][0]["status"]) == (name, "kept")


def test_name_that_is_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    with open(path, "wb"):
        pass
    with pytest.raises(DataError) as caught:
        find_inputs([tmp_path])
    assert str(caught.value) == f"'{tmp_path}/caf\\udce9.mp4': the name is not text in UTF-8; rename it."


@pytest.fixture
def unprivileged():
    """Yield a folder of a user who is not root, as whom the test runs; root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid():
            yield folder
            return
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)


def test_video_that_may_not_be_read(film, unprivileged, make_video):
    path = make_video(unprivileged / "secret.mp4", film[:3])
    path.chmod(0)
    with pytest.raises(ExtractionError) as caught:
        VideoReader(path)
    assert str(caught.value) == f"{path}: cannot be read (Permission denied)."


def test_folder_that_may_not_be_searched(film, unprivileged, make_video):
    make_video(unprivileged / "seen/a.mp4", film[:3])
    secret = make_video(unprivileged / "secret/b.mp4", film[:3]).parent
    secret.chmod(0)
    try:
        with pytest.raises(DataError) as caught:
            find_inputs([unprivileged])
    finally:
        secret.chmod(0o700)
    assert str(caught.value) == (f"{secret}: cannot be searched (Permission denied); permit it, or name the files.")


def test_set_that_may_not_be_written(film, unprivileged, make_video):
    out = unprivileged / "set"
    out.mkdir(mode=0o500)
    video = make_video(unprivileged / "a.mp4", film[:3])
    with pytest.raises(ExtractionError, match=r"set: cannot be written \(Permission denied\); "):
        extract([video], out, backend=FakeBackend(), workers=1)
