"""Squares cut out of pictures: where they lie, and what is in them."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pcan_extract.crop_inputs import find_videos
from pcan_extract.cropping import CropClip, crop_video, cut_out, fit_box
from pcan_extract.video import VideoReader
from pcan_pose.crop_cache import CropSettings
from pcan_pose.errors import DataError, ExtractionError

NAN = (math.nan, math.nan, math.nan)


def clip(box=(10.0, 20.0, 30.0), width=100, height=80, path=None, frames=10) -> CropClip:
    return CropClip("a", path, box, frames, width, height)


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        ((10, 20, 30), (100, 80), (10, 20, 30)),
        # The video is half the size of the picture that the keypoints lie in.
        ((10, 20, 30), (50, 40), (5, 10, 15)),
        # Moved inside.
        ((-5, 60, 30), (100, 80), (0, 50, 30)),
        ((85, -9, 30), (100, 80), (70, 0, 30)),
        # Higher than the picture: all of it is there, black above or below.
        ((0, -30, 90), (100, 80), (0, -10, 90)),
        ((0, 10, 90), (100, 80), (0, 0, 90)),
        # Nobody was found: the whole picture.
        (NAN, (100, 80), (0, -10, 100)),
    ],
)
def test_box_is_moved_inside(box, size, expected):
    assert fit_box(clip(box), *size) == pytest.approx(expected)


def test_unknown_picture_size_is_the_videos():
    assert fit_box(clip((4.0, 5.0, 6.0), 0, 0), 640, 480) == (4, 5, 6)


def test_other_shape_is_refused():
    with pytest.raises(ExtractionError, match="x.mp4: 640x480 pixels, but the keypoints are of a picture of 480x640"):
        fit_box(clip((0, 0, 50), 480, 640, Path("x.mp4")), 640, 480)


def test_same_size_copies_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    np.testing.assert_array_equal(cut_out(picture, (7, 3, 16), 16), picture[3:19, 7:23])
    beyond = cut_out(picture, (40, -6, 16), 16)
    np.testing.assert_array_equal(beyond[6:, :10], picture[:10, 40:])
    assert not beyond[:6].any() and not beyond[:, 10:].any()
    assert not cut_out(picture, (90, 90, 16), 16).any()


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(cut_out(stripes, (0, 0, 64), 8)[:, 1:-1].astype(int) - 100).max() <= 2


def test_wanted_frames_are_stored(film, tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", film[:10])
    settings = CropSettings(size=32, frames=4)
    whole = replace(clip((0, 0, 144), 176, 144, path), frames=10)
    pictures, record = crop_video(whole, settings)
    assert pictures.shape == (4, 32, 32, 3) and pictures.dtype == np.uint8
    assert (record.positions, record.frames, record.width, record.height) == ((1, 3, 6, 8), 10, 176, 144)
    assert record.file_size == path.stat().st_size
    for picture, position in zip(pictures, record.positions, strict=True):
        expected = cut_out(film[position], (0, 0, 144), 32).astype(int)
        assert np.abs(picture - expected).mean() < 6
    # Keypoints of another number of frames change nothing: the video's own frames are spread.
    again, same = crop_video(replace(whole, frames=25), settings)
    np.testing.assert_array_equal(again, pictures)
    assert same == record


def test_crops_lie_in_the_picture_as_shown(film, tmp_path, make_video):
    # Stored narrow, turned and mirrored: keypoints, extracted from what is shown, fit.
    one = 1 << 16
    matrix = [0, one, 0, one, 0, 0, 0, 0, 1 << 30]
    path = make_video(tmp_path / "a.mp4", film[:3], aspect=Fraction(4, 3), matrix=matrix)
    with VideoReader(path) as reader:
        frames = list(reader)
        assert (reader.info.width, reader.info.height) == (144, 234)
    box = (10.0, 70.0, 80.0)
    pictures, record = crop_video(clip(box, 144, 234, path, 3), CropSettings(size=32, frames=None))
    assert (record.width, record.height, record.box) == (144, 234, box)
    np.testing.assert_array_equal(pictures, [cut_out(frame, box, 32) for frame in frames])


def test_no_video_is_told():
    with pytest.raises(ExtractionError, match="no video of this name was found"):
        crop_video(clip(), CropSettings())


def test_videos_are_found_by_source_then_id_then_name(tmp_path):
    for name in ("train/a.mp4", "val/b.avi", "deep/down/c.mkv", "d.mp4", "e/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ids = ["x", "val/b", "train/c", "gone", "d"]
    found = find_videos(tmp_path, ids, ["train/a.mp4", None, None, "gone.mp4", None])
    expected = [
        tmp_path / name if name else None for name in ("train/a.mp4", "val/b.avi", "deep/down/c.mkv", "", "d.mp4")
    ]
    assert found == expected
    with pytest.raises(DataError, match="clip 'f/d' may be .*/d.mp4 or .*/e/d.mp4; rename one, or move one away"):
        find_videos(tmp_path, ["f/d"], [None])
    with pytest.raises(DataError, match="no video of any of the 2 clips, such as 'q'"):
        find_videos(tmp_path, ["q", "r"], [None, None])
