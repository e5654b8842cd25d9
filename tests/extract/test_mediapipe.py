import importlib.util

import numpy as np
import pytest

from pcan_extract.backends import create_backend
from pcan_extract.estimation import estimate_video
from pcan_extract.inputs import VideoInput
from pcan_pose.errors import MissingDependencyError
from pcan_pose.skeleton import skeleton

LAYOUT = skeleton("openpose28")


def test_absent_package_names_its_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        create_backend("mediapipe")
    assert str(caught.value).startswith(
        "backend 'mediapipe': the package mediapipe is not installed; run pip install 'pcan-pose[mediapipe]'"
    )


@pytest.fixture(scope="module")
def clips(film, make_video, tmp_path_factory):
    """Return the clips of a video, of a grey one, and of the first one again."""
    pytest.importorskip("mediapipe", reason="needs the extra 'mediapipe'")
    folder = tmp_path_factory.mktemp("mediapipe")
    video = VideoInput("a", make_video(folder / "a.mp4", film[:12].repeat(3, 1).repeat(3, 2)), "a.mp4")
    grey = VideoInput("b", make_video(folder / "b.mp4", np.full((3, 96, 128, 3), 127, np.uint8)), "b.mp4")
    with create_backend("mediapipe") as backend:
        return [estimate_video(entry, backend, "openpose28")[0] for entry in (video, grey, video)]


def test_person_is_found(clips):
    clip = clips[0]
    assert clip.keypoints.shape == (1, 12, 28, 2)
    assert (clip.scores[:, :, LAYOUT.index("nose")] > 0.9).all()
    x, y = clip.keypoints[0, :, LAYOUT.index("nose")].mean(0)
    assert 0.3 < x / clip.width < 0.7 and 0.2 < y / clip.height < 0.7
    # He looks at the camera: his right shoulder is on the picture's left.
    right, left = (clip.keypoints[0, :, LAYOUT.index(f"{side}_shoulder"), 0].mean() for side in ("right", "left"))
    assert right < left


def test_empty_picture_has_no_joint(clips):
    assert clips[1].keypoints.shape == (1, 3, 28, 2)
    assert not clips[1].scores.any() and not clips[1].keypoints.any()


def test_result_does_not_depend_on_the_video_before(clips):
    np.testing.assert_array_equal(clips[0].keypoints, clips[2].keypoints)
    np.testing.assert_array_equal(clips[0].scores, clips[2].scores)


@pytest.mark.slow
def test_ma52_sample(shared):
    pytest.importorskip("mediapipe", reason="needs the extra 'mediapipe'")
    path = shared / "ma52/videos/0078_01_0005.mp4"
    with create_backend("mediapipe") as backend:
        clip, info = estimate_video(VideoInput("a", path, path.name), backend, "openpose28")
    assert (info.frames, info.fps, info.width, info.height) == (60, 30, 1080, 1296)
    body, hands = clip.scores[0, :, :18], clip.scores[0, :, 18:].reshape(60, 2, 5)
    assert (body.max(1) > 0.9).all()
    # A hand is found as a whole or not at all.
    assert ((hands > 0).all(2) == (hands > 0).any(2)).all()
    assert (hands > 0).any((1, 2)).mean() > 0.9
    # Seated: nose above neck above hips, the person's right on the picture's left.
    height = {joint: clip.keypoints[0, :, LAYOUT.index(joint), 1] for joint in ("nose", "neck", "left_hip")}
    assert (height["nose"] < height["neck"]).all() and (height["neck"] < height["left_hip"]).all()
