"""What becomes of an estimate, and what a worker does ahead."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from fake_backends import FakeBackend

from pcan_extract import worker
from pcan_extract.backends import Estimate
from pcan_extract.decoding import DecodeAhead
from pcan_extract.estimation import ClipOptions
from pcan_extract.found import Found
from pcan_extract.inputs import VideoInput
from pcan_extract.smoothing import Processing
from pcan_extract.staging import Staging
from pcan_extract.worker import ExtractTask, run_task, start_worker
from pcan_pose.errors import ConfigError
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


def clip_of(video, backend, staging, options=None):
    """Return the clip that a worker stages."""
    start_worker(backend, staging, options or ClipOptions())
    outcome = run_one(ExtractTask((video,)))
    assert outcome.error is None, outcome.error
    return read_set(staging.staged(video.clip_id)).clip(0)


def test_layout_may_be_the_backends_own(video, staging):
    own = replace(skeleton("mediapipe_holistic"), name="own")
    clip = clip_of(video, FakeBackend(), staging)
    other = clip_of(video, FakeBackend(layout=own), staging)
    np.testing.assert_array_equal(clip.keypoints, other.keypoints)


def test_missing_joints_only_where_allowed(video, staging):
    backend = FakeBackend(layout="coco17")
    start_worker(backend, staging, ClipOptions())
    assert "layout 'coco17' cannot give" in str(run_one(ExtractTask((video,))).error)
    clip = clip_of(video, backend, staging, ClipOptions(allow_missing=True))
    layout = skeleton("openpose28")
    assert (clip.scores[..., layout.index("left_wrist")] > 0).all()
    missing = layout.index("left_thumb_tip")
    assert not clip.scores[..., missing].any() and not clip.keypoints[..., missing, :].any()


def test_processing_sees_the_gaps(video, staging):
    plain = clip_of(video, Blinking(), staging)
    filled = clip_of(video, Blinking(), staging, ClipOptions(processing=Processing(interpolate=2)))
    assert not plain.scores[:, 4:6].any() and not plain.keypoints[:, 4:6].any()
    assert (filled.scores[:, 4:6] > 0).all()
    np.testing.assert_allclose(
        filled.keypoints[:, 4], plain.keypoints[:, 3] + (plain.keypoints[:, 6] - plain.keypoints[:, 3]) / 3, rtol=1e-5
    )
    assert filled.keypoints.shape == plain.keypoints.shape == (1, 10, 28, 2)


class Guessing(FakeBackend):
    """Sees no leg: ankles have score 0.01, knees 0.05; one shoulder has 0.04. In frame 5 all have 0.01."""

    def estimate(self, frames, info):
        keypoints, scores = super().estimate(frames, info)
        layout = skeleton(self.layout)
        for side in ("left", "right"):
            scores[..., layout.index(f"{side}_ankle")] = 0.01
            scores[..., layout.index(f"{side}_knee")] = 0.05
        scores[..., layout.index("left_shoulder")] = 0.04
        scores[5] = 0.01
        return Estimate(keypoints, scores)


def test_guessed_joints_are_not_found(video, staging):
    layout = skeleton("openpose28")
    guessed = [layout.index(joint) for joint in ("left_ankle", "right_ankle", "left_shoulder", "neck")]
    kept = [v for v in range(layout.num_joints) if v not in guessed]
    seen = [t for t in range(10) if t != 5]
    clip = clip_of(video, Guessing(), staging)
    assert not clip.scores[..., guessed].any() and not clip.keypoints[..., guessed, :].any()
    assert not clip.scores[:, 5].any() and not clip.keypoints[:, 5].any()
    # The threshold itself is enough.
    assert (clip.scores[:, seen][..., kept] > 0).all()
    assert run_one(ExtractTask((video,))).found == Found(10, 9, 9)
    everything = clip_of(video, Guessing(), staging, ClipOptions(min_score=0))
    assert (everything.scores > 0).all()
    stricter = clip_of(video, Guessing(), staging, ClipOptions(min_score=0.5))
    assert not stricter.scores[..., layout.index("left_knee")].any()
    assert (stricter.scores[:, seen, layout.index("left_hip")] == 0.75).all()


def test_joints_outside_the_picture_are_not_found(video, staging):
    class Reaching(FakeBackend):
        def estimate(self, frames, info):
            keypoints, scores = super().estimate(frames, info)
            hands = [skeleton(self.layout).index(f"{side}_wrist") for side in ("left", "right")]
            keypoints[:5, :, hands[0]] = (info.width + 1, 3)
            keypoints[5:, :, hands[0]] = (info.width, 0)
            keypoints[:, :, hands[1], 1] = -1
            return Estimate(keypoints, scores)

    layout = skeleton("openpose28")
    left, right = layout.index("left_wrist"), layout.index("right_wrist")
    clip = clip_of(video, Reaching(), staging)
    assert not clip.scores[..., right].any() and not clip.keypoints[..., right, :].any()
    assert not clip.scores[0, :5, left].any() and (clip.scores[0, 5:, left] > 0).all()
    assert (clip_of(video, Reaching(), staging, ClipOptions(min_score=0)).scores > 0).all()


def test_gaps_of_unsure_joints_are_filled(video, staging):
    options = ClipOptions(processing=Processing(interpolate=1), min_score=0.5)
    filled = clip_of(video, Guessing(), staging, options)
    hip = skeleton("openpose28").index("left_hip")
    # Half of the neighbours' score is below the threshold, and stays.
    assert filled.scores[0, 5, hip] == 0.375
    np.testing.assert_allclose(filled.keypoints[0, 5, hip], filled.keypoints[0, [4, 6], hip].mean(0), rtol=1e-5)


@pytest.mark.parametrize("score", [-0.1, 1.5, float("nan")])
def test_scores_out_of_range_are_refused(score):
    with pytest.raises(ConfigError, match=rf"^min score must be 0 to 1, got {score:g}.$"):
        ClipOptions(min_score=score)


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
    ahead = read_set(staging.staged("two")).clip(0)
    np.testing.assert_array_equal(ahead.keypoints, clip_of(then, FakeBackend(), staging).keypoints)


def test_faults_leave_no_thread(video, staging, tmp_path):
    start_worker(FakeBackend(raise_width=176), staging, ClipOptions())
    assert "unexpected ValueError: a surprise" in str(run_one(ExtractTask((video,))).error)
    start_worker(FakeBackend(broken=True), staging, ClipOptions())
    outcome = run_one(ExtractTask((video,)))
    assert outcome.fatal and outcome.seconds > 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode ")]
