"""What becomes of an estimate, and what a worker does ahead."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from fake_backends import FakeBackend

from pcan_extract import worker
from pcan_extract.backends import Estimate
from pcan_extract.decoding import DecodeAhead
from pcan_extract.estimation import estimate_video
from pcan_extract.found import Found
from pcan_extract.inputs import VideoInput
from pcan_extract.smoothing import Processing
from pcan_extract.staging import Staging
from pcan_extract.worker import ClipOptions, ExtractTask, run_task, start_worker
from pcan_pose.errors import SkeletonError
from pcan_pose.keypoints import Header, read_set
from pcan_pose.skeleton import skeleton


@pytest.fixture
def video(one_clip):
    return VideoInput("one", one_clip, "one.mp4")


@pytest.fixture
def staging(tmp_path):
    return Staging(tmp_path / "set", Header("openpose28", 2, "fake 1"))


def run_one(task):
    (outcome,) = run_task(task)
    return outcome


class Blinking(FakeBackend):
    """Finds nobody in the frames 4 and 5."""

    def estimate(self, frames, info):
        keypoints, scores = super().estimate(frames, info)
        scores[4:6] = 0
        return Estimate(keypoints, scores)


def test_layout_may_be_the_backends_own(video):
    own = replace(skeleton("mediapipe_holistic"), name="own")
    clip, _ = estimate_video(video, FakeBackend(), "openpose28")
    other, _ = estimate_video(video, FakeBackend(layout=own), "openpose28")
    np.testing.assert_array_equal(clip.keypoints, other.keypoints)


def test_missing_joints_only_where_allowed(video):
    backend = FakeBackend(layout="coco17")
    with pytest.raises(SkeletonError, match="layout 'coco17' cannot give .* of layout 'openpose28'"):
        estimate_video(video, backend, "openpose28")
    clip, _ = estimate_video(video, backend, "openpose28", allow_missing=True)
    layout = skeleton("openpose28")
    assert (clip.scores[..., layout.index("left_wrist")] > 0).all()
    missing = layout.index("left_thumb_tip")
    assert not clip.scores[..., missing].any() and not clip.keypoints[..., missing, :].any()


def test_processing_sees_the_gaps(video):
    plain, _ = estimate_video(video, Blinking(), "openpose28")
    filled, _ = estimate_video(video, Blinking(), "openpose28", processing=Processing(interpolate=2))
    assert not plain.scores[:, 4:6].any() and not plain.keypoints[:, 4:6].any()
    assert (filled.scores[:, 4:6] > 0).all()
    np.testing.assert_allclose(
        filled.keypoints[:, 4], plain.keypoints[:, 3] + (plain.keypoints[:, 6] - plain.keypoints[:, 3]) / 3, rtol=1e-5
    )
    assert filled.keypoints.shape == plain.keypoints.shape == (1, 10, 28, 2)


def test_next_video_is_decoded_while_this_one_is_estimated(video, staging, film, tmp_path, make_video, monkeypatch):
    then = VideoInput("two", make_video(tmp_path / "two.mp4", film[10:15]), "two.mp4")
    opened = []

    class Watched(DecodeAhead):
        def __init__(self, path, **limits):
            opened.append(path)
            super().__init__(path, **limits)

    monkeypatch.setattr(worker, "DecodeAhead", Watched)
    start_worker(FakeBackend(), staging, ClipOptions())
    assert run_one(ExtractTask((video,), (then,))).frames == 10
    assert opened == [video.path, then.path]
    assert run_one(ExtractTask((then,))).found == Found(5, 5, 5)
    assert opened == [video.path, then.path]
    # It was another one that came: the decoder is given up.
    assert run_one(ExtractTask((video,), (then,))).error is None
    assert run_one(ExtractTask((video,))).frames == 10
    assert opened[2:] == [video.path, then.path, video.path]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode ")]
    alone, _ = estimate_video(then, FakeBackend(), "openpose28")
    np.testing.assert_array_equal(read_set(staging.staged("two")).clip(0).keypoints, alone.keypoints)


def test_faults_leave_no_thread(video, staging, tmp_path):
    start_worker(FakeBackend(raise_width=176), staging, ClipOptions())
    assert "unexpected ValueError: a surprise" in str(run_one(ExtractTask((video,))).error)
    start_worker(FakeBackend(broken=True), staging, ClipOptions())
    outcome = run_one(ExtractTask((video,)))
    assert outcome.fatal and outcome.seconds > 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode ")]
