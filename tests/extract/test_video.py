import gc
from pathlib import Path

import av
import numpy as np
import pytest

from pcan_extract.inputs import find_inputs
from pcan_extract.video import VideoReader
from pcan_pose.errors import ExtractionError


def read(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack(list(reader))


def fault(path: Path) -> str:
    with pytest.raises(ExtractionError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_frames_are_the_pictures(one_clip, film):
    with VideoReader(one_clip) as reader:
        assert (reader.info.width, reader.info.height, reader.info.frames) == (176, 144, 10)
        frames = list(reader)
        assert all(frame.flags["C_CONTIGUOUS"] and frame.dtype == np.uint8 for frame in frames)
        assert reader.info.frames == 10
        assert reader.info.fps == 25
        assert not reader.info.variable
        np.testing.assert_allclose(reader.timestamps, np.arange(10) / 25)
    # Lossy, but the same picture: a shifted or unpacked row would be far off.
    assert np.abs(np.stack(frames).astype(int) - film[:10]).mean() < 6


def test_odd_width_has_no_padding(film, tmp_path, make_video):
    path = make_video(tmp_path / "odd.mp4", film[:2, :, :150])
    frames = read(path)
    assert frames.shape == (2, 144, 150, 3)
    assert np.abs(frames.astype(int) - film[:2, :, :150]).mean() < 6


def test_only_wanted_frames_are_converted(one_clip):
    every = read(one_clip)
    with VideoReader(one_clip) as reader:
        some = list(reader.frames({2, 7}))
        assert reader.info.frames == 10
    np.testing.assert_array_equal(some, every[[2, 7]])


def test_pictures_are_freed_without_the_garbage_collector(one_clip):
    gc.collect()
    gc.disable()
    try:
        read(one_clip)
        assert not [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    finally:
        gc.enable()


def test_a_reader_reads_once(one_clip):
    with VideoReader(one_clip) as reader:
        list(reader)
        with pytest.raises(RuntimeError, match="gives its pictures once"):
            list(reader)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_honoured(rotation, film, tmp_path, make_video):
    path = make_video(tmp_path / "turned.mp4", film[:3], rotation=rotation)
    with VideoReader(path) as reader:
        frames = np.stack(list(reader))
        info = reader.info
    assert info.rotation == rotation % 360
    assert (info.height, info.width) == frames.shape[1:3] == ((144, 176) if rotation == 180 else (176, 144))
    upright = np.rot90(film[:3], rotation // 90, axes=(1, 2))
    assert np.abs(frames.astype(int) - upright).mean() < 6


def test_variable_frame_rate_is_averaged(film, tmp_path, make_video):
    times = [0, 40, 80, 200, 240, 400]
    path = make_video(tmp_path / "variable.mp4", film[:6], times=times)
    with VideoReader(path) as reader:
        assert len(list(reader)) == 6
        np.testing.assert_allclose(reader.timestamps, np.array(times) / 1000)
        assert reader.info.variable
        assert reader.info.fps == pytest.approx(5 / 0.4)


def test_coarse_clock_is_a_constant_rate(film, tmp_path, make_video):
    path = make_video(tmp_path / "coarse.mkv", film[:10], rate=30)
    with VideoReader(path) as reader:
        list(reader)
        assert not reader.info.variable
        assert reader.info.fps == pytest.approx(30, rel=1e-3)


def test_missing_file(tmp_path):
    assert fault(tmp_path / "none.mp4") == "no such file."


def test_folder_is_no_file(tmp_path):
    assert fault(tmp_path) == "not a file."


def test_empty_file(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    assert fault(path) == "empty file (0 bytes); replace the file."


def test_text_renamed(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no pictures here\n" * 200)
    assert fault(path).startswith("not a video that FFmpeg can read (")


def test_text_is_no_film_of_a_terminal(tmp_path):
    path = tmp_path / "videos.txt"
    path.write_text("0001.mp4 0\n0002.mp4 1\n" * 50)
    assert fault(path) == "text, not a video; remove it, or name the videos themselves."


def test_mp4_without_index(one_clip):
    content = one_clip.read_bytes()
    one_clip.write_bytes(content[: content.index(b"moov") - 4])
    assert fault(one_clip) == "truncated: the MP4 index (moov) is missing, so nothing decodes; replace the file."


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_mp4_cut_in_its_pictures(codec, film, tmp_path, make_video):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = make_video(tmp_path / "cut.mp4", film[:30], options={"movflags": "+faststart"}, codec=codec)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])
    assert "truncated: " in fault(path)
    assert " of 30 frames decode; replace the file." in fault(path)


def test_mp4_cut_before_its_last_picture(film, tmp_path, make_video):
    if "libx264" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libx264")
    path = make_video(tmp_path / "cut.mp4", film[:30], options={"movflags": "+faststart"}, codec="libx264")
    # The last one in the file is not the last one shown: what decodes ends when it should.
    path.write_bytes(path.read_bytes()[: packets(path)[-1][0]])
    assert fault(path) == "truncated: 29 of 30 frames decode; replace the file."


def test_file_without_frame_count_cut_short(film, tmp_path, make_video):
    path = make_video(tmp_path / "cut.mkv", film[:50])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert fault(path).startswith("truncated: ")
    assert "of 2.0 seconds decode" in fault(path)


def dropping(path, film, make_video, codec="mpeg4", empty=frozenset({7, 8, 9, 20, 21, 33, 40, 45})):
    """Return an AVI of 50 places, of which some hold no picture."""
    times = [t for t in range(50) if t not in empty]
    return make_video(path, film[: len(times)], times=times, clock=25, codec=codec)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_pictures_that_a_camera_dropped_are_not_missing(codec, film, tmp_path, make_video):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    with VideoReader(dropping(tmp_path / "dropped.avi", film, make_video, codec)) as reader:
        assert reader.info.frames == 50
        assert len(list(reader)) == 42
        times = reader.timestamps
        assert (reader.info.frames, reader.info.variable) == (42, True)
    assert times[-1] - times[0] == pytest.approx(49 / 25)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_pictures_dropped_at_the_start(codec, film, tmp_path, make_video):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = dropping(tmp_path / "dropped.avi", film, make_video, codec, frozenset({0, 1, 2, 20}))
    assert len(read(path)) == 46


@pytest.mark.parametrize("kept", [1, 20, 38, 41])
def test_avi_with_dropped_pictures_cut_short(kept, film, tmp_path, make_video):
    path = dropping(tmp_path / "cut.avi", film, make_video)
    starts = [start for start, _ in packets(path)]
    # Between two pictures: nothing decodes with an error. The index, at the end, goes too.
    path.write_bytes(path.read_bytes()[: starts[kept] - 8])
    assert fault(path) == f"truncated: {kept} of 50 frames decode; replace the file."


def packets(path):
    """Return where the file holds pictures: first byte and number of bytes."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def test_picture_that_vanishes_without_an_error(film, tmp_path, make_video):
    path = make_video(tmp_path / "hurt.avi", film[:20], codec="mpeg2video")
    start, size = packets(path)[10]
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    assert fault(path) == "damaged: 1 of 20 frames do not decode; re-encode or replace the file."


@pytest.mark.parametrize(
    ("extension", "codec"),
    [
        ("mts", "libx264"),
        ("m2ts", "mpeg2video"),
        ("vob", "mpeg2video"),
        ("asf", "mpeg4"),
        ("mxf", "mpeg2video"),
        ("dv", "dvvideo"),
    ],
)
def test_camcorder_files(extension, codec, film, tmp_path, make_video):
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    pictures = film[:12]
    if codec == "dvvideo":
        pictures = np.zeros((12, 576, 720, 3), np.uint8) + film[:12, :1, :1]
    path = make_video(tmp_path / f"a.{extension}", pictures, codec=codec)
    (video,) = find_inputs([tmp_path]).videos
    with VideoReader(video.path) as reader:
        assert reader.info.fps == 25
        assert len(list(reader)) == 12
        assert reader.info.fps == pytest.approx(25, rel=1e-3)
    assert video.path == path


def test_damage_in_the_middle(film, tmp_path, make_video):
    path = make_video(tmp_path / "hurt.mp4", film[:30])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    assert "decod" in fault(path)


def test_sound_only(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert fault(path) == "no video stream (streams: audio); remove it or give the video."
