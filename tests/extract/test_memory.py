"""Memory does not grow with the number of videos, nor with their length."""

import json
import os

import numpy as np
import pytest
from processes import command, start

pytest.importorskip("resource", reason="this system does not tell how much memory a process has used")


@pytest.fixture
def peaks(tmp_path):
    """Return the function that extracts a folder and returns the most memory of main process and worker, in KiB."""

    def measured(folder, **settings) -> dict[str, int]:
        file = tmp_path / "peaks.json"
        arguments = ("--out", tmp_path / f"set of {folder.name}", "--workers", 1, "--clips-per-shard", 64)
        process = start(command(tmp_path, json.dumps({"peaks": str(file), **settings}), folder, *arguments))
        _, told = process.communicate(timeout=200)
        assert process.returncode == 0, told
        return json.loads(file.read_text())

    return measured


def assert_flat(few: dict[str, int], many: dict[str, int]):
    for who in few:
        assert many[who] < 1.1 * few[who], who


@pytest.mark.slow
def test_many_videos_need_no_more_than_one(film, tmp_path, make_video, peaks):
    one = make_video(tmp_path / "one/0.mp4", film[:5])
    (tmp_path / "many").mkdir()
    for i in range(1000):
        os.link(one, tmp_path / f"many/{i}.mp4")
    assert_flat(peaks(tmp_path / "one"), peaks(tmp_path / "many"))


@pytest.mark.slow
def test_a_long_video_is_not_held_in_memory(film, tmp_path, make_video, peaks):
    # 1.2 MB a picture: at most 32 wait for the estimator, 160 more would need 190 MB. The estimator starts late, so
    # that in both runs as many wait as may, however fast this machine decodes.
    pictures = [np.ascontiguousarray(picture.repeat(4, 0).repeat(4, 1)) for picture in film[:20]]
    make_video(tmp_path / "short/0.mp4", pictures * 2)
    make_video(tmp_path / "long/0.mp4", pictures * 10)
    late = {"seconds_per_video": 3.0}
    assert_flat(peaks(tmp_path / "short", **late), peaks(tmp_path / "long", **late))
