import importlib.util
import shutil
import sys

import numpy as np
import pytest

from pcan_extract.backends import BackendOptions, create_backend
from pcan_extract.checks import check_backend
from pcan_extract.pipeline import extract
from pcan_pose.errors import MissingDependencyError
from pcan_pose.keypoints import read_set
from pcan_pose.skeleton import skeleton

LAYOUT = skeleton("openpose28")


def test_absent_package_names_its_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        create_backend("mediapipe")
    assert str(caught.value).startswith(
        "backend 'mediapipe': the package mediapipe is not installed; run pip install 'pcan-pose[mediapipe]'"
    )


def test_libraries_that_are_missing_are_told_before_a_run(monkeypatch):
    pytest.importorskip("mediapipe", reason="needs the extra 'mediapipe'")
    assert check_backend("mediapipe", BackendOptions()) == []
    (fault,) = check_backend("mediapipe", BackendOptions(model="a"))
    assert fault == "backend 'mediapipe' has no option 'model'; leave it out."
    # As where a library that OpenCV is linked against is not there.
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", None)
    (fault,) = check_backend("mediapipe", BackendOptions())
    assert fault.startswith("mediapipe is installed but cannot be imported (")
    assert "apt-get install libgl1 libglib2.0-0" in fault
    with pytest.raises(MissingDependencyError, match="cannot be imported"), create_backend("mediapipe"):
        pass


@pytest.fixture(scope="module")
def clips(film, make_video, tmp_path_factory):
    """Return the clips of a video, of a grey one, and of the first one again."""
    pytest.importorskip("mediapipe", reason="needs the extra 'mediapipe'")
    folder = tmp_path_factory.mktemp("mediapipe")
    video = make_video(folder / "videos/a.mp4", film[:12].repeat(3, 1).repeat(3, 2))
    make_video(folder / "videos/b.mp4", np.full((3, 96, 128, 3), 127, np.uint8))
    shutil.copy(video, folder / "videos/c.mp4")
    assert not extract([folder / "videos"], folder / "set", workers=1).failures
    return list(read_set(folder / "set").clips())


def test_person_is_found(clips):
    clip = clips[0]
    assert clip.keypoints.shape == (1, 12, 28, 2)
    assert (clip.scores[:, :, LAYOUT.index("nose")] > 0.9).all()
    x, y = clip.keypoints[0, :, LAYOUT.index("nose")].mean(0)
    assert 0.3 < x / clip.width < 0.7 and 0.2 < y / clip.height < 0.7
    # He looks at the camera: his right shoulder is on the picture's left.
    right, left = (clip.keypoints[0, :, LAYOUT.index(f"{side}_shoulder"), 0].mean() for side in ("right", "left"))
    assert right < left


def test_joints_outside_the_picture_are_not_found(clips):
    # Head and shoulders only.
    legs = [LAYOUT.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")]
    assert not clips[0].scores[..., legs].any() and not clips[0].keypoints[..., legs, :].any()


def test_empty_picture_has_no_joint(clips):
    assert clips[1].keypoints.shape == (1, 3, 28, 2)
    assert not clips[1].scores.any() and not clips[1].keypoints.any()


def test_result_does_not_depend_on_the_video_before(clips):
    np.testing.assert_array_equal(clips[0].keypoints, clips[2].keypoints)
    np.testing.assert_array_equal(clips[0].scores, clips[2].scores)


@pytest.mark.slow
def test_ma52_sample(shared, tmp_path):
    pytest.importorskip("mediapipe", reason="needs the extra 'mediapipe'")
    path = shared / "ma52/videos/0078_01_0005.mp4"
    assert not extract([path], tmp_path / "set", workers=1).failures
    clip = read_set(tmp_path / "set").clip(0)
    assert (clip.scores.shape[1], clip.fps, clip.width, clip.height) == (60, 30, 1080, 1296)
    body, hands = clip.scores[0, :, :18], clip.scores[0, :, 18:].reshape(60, 2, 5)
    assert (body.max(1) > 0.9).all()
    # A hand is found as a whole or not at all.
    assert ((hands > 0).all(2) == (hands > 0).any(2)).all()
    assert (hands > 0).any((1, 2)).mean() > 0.9
    # Seated: nose above neck above hips, the person's right on the picture's left.
    height = {joint: clip.keypoints[0, :, LAYOUT.index(joint), 1] for joint in ("nose", "neck", "left_hip")}
    assert (height["nose"] < height["neck"]).all() and (height["neck"] < height["left_hip"]).all()
