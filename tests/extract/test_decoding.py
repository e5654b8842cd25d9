import threading
import time

import numpy as np
import pytest

from pcan_extract.decoding import DecodeAhead
from pcan_extract.video import VideoReader
from pcan_pose.errors import ExtractionError


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.005)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode ")]


def test_pictures_are_the_readers(one_clip):
    with VideoReader(one_clip) as reader, DecodeAhead(one_clip, frames=3) as decoder:
        announced = reader.info
        np.testing.assert_array_equal(list(decoder), list(reader))
        # What was measured must not reach the estimator at one time and not at another.
        assert (decoder.announced, decoder.measured) == (announced, reader.info)
    assert threads() == []


@pytest.mark.parametrize(("limits", "most"), [({"frames": 3}, 3), ({"size": 4 * 144 * 176 * 3}, 4), ({"size": 1}, 1)])
def test_runs_ahead_only_so_far(limits, most, one_clip):
    with DecodeAhead(one_clip, **limits) as decoder:
        frames = iter(decoder)
        for taken in range(4):
            wait_for(lambda: len(decoder._waiting) == most)
            time.sleep(0.02)
            assert len(decoder._waiting) == most
            if taken < 3:
                next(frames)


def test_closing_ends_the_thread(one_clip):
    decoder = DecodeAhead(one_clip, frames=1)
    next(iter(decoder))
    decoder.close()
    assert threads() == []
    with pytest.raises(RuntimeError, match="not decoded to its end"):
        _ = decoder.measured


def test_a_file_that_does_not_open_says_so_where_it_is_read(tmp_path):
    (tmp_path / "a.mp4").touch()
    with DecodeAhead(tmp_path / "a.mp4") as decoder:
        for read in (lambda: decoder.announced, lambda: list(decoder)):
            with pytest.raises(ExtractionError, match="a.mp4: empty file"):
                read()


def test_damage_shows_behind_the_pictures_before_it(film, tmp_path, make_video):
    path = make_video(tmp_path / "cut.mp4", film[:30], options={"movflags": "+faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])
    seen = []
    with DecodeAhead(path) as decoder, pytest.raises(ExtractionError, match="truncated: "):
        seen.extend(decoder)
    assert seen
