from fractions import Fraction

import av
import numpy as np
import pytest

from pcan_extract.overlay import draw_skeleton, write_overlay
from pcan_pose.errors import DataError
from pcan_pose.keypoints import Clip
from pcan_pose.skeleton import skeleton

LAYOUT = skeleton("openpose28")
BLUE, ORANGE = (86, 180, 233), (230, 159, 0)


def clip_of(frames: int, score: float = 1.0) -> Clip:
    """Return a clip whose joint v stands still at (6 v + 4, 3 v + 4)."""
    joints = np.arange(LAYOUT.num_joints)
    points = np.stack([6 * joints + 4, 3 * joints + 4], -1).astype(np.float32)
    keypoints = np.broadcast_to(points, (1, frames, *points.shape))
    return Clip("clip", keypoints, np.full(keypoints.shape[:-1], score, np.float32), fps=25.0)


@pytest.mark.parametrize(
    ("joint", "colour"), [("left_elbow", BLUE), ("right_elbow", ORANGE), ("nose", (255, 255, 255))]
)
def test_joints_have_their_sides_colour(joint, colour):
    picture = draw_skeleton(np.zeros((144, 176, 3), np.uint8), clip_of(1), LAYOUT, 0)
    v = LAYOUT.index(joint)
    assert tuple(picture[3 * v + 4, 6 * v + 4]) == colour


def test_score_is_opacity():
    black = np.zeros((144, 176, 3), np.uint8)
    nose = clip_of(1).keypoints[0, 0, LAYOUT.index("nose")].astype(int)
    drawn = [draw_skeleton(black, clip_of(1, score), LAYOUT, 0)[nose[1], nose[0]] for score in (1.0, 0.25, 0.0)]
    np.testing.assert_array_equal(drawn[0], [255] * 3)
    assert (drawn[1] > 0).all() and (drawn[1] < 255).all()
    np.testing.assert_array_equal(drawn[2], [0] * 3)
    assert not black.any()


def test_joint_that_was_not_found_has_no_bones():
    # Only the left wrist, far from the others, is missing: nothing reaches towards it.
    wrist = LAYOUT.index("left_wrist")
    keypoints = np.zeros((1, 1, LAYOUT.num_joints, 2), np.float32) + 8
    keypoints[0, 0, wrist] = 120
    scores = np.ones(keypoints.shape[:-1], np.float32)
    black = np.zeros((144, 176, 3), np.uint8)
    assert draw_skeleton(black, Clip("clip", keypoints, scores), LAYOUT, 0)[64, 64].any()
    scores[0, 0, wrist] = 0
    assert not draw_skeleton(black, Clip("clip", keypoints, scores), LAYOUT, 0)[32:, 32:].any()


@pytest.mark.parametrize(("width", "aspect"), [(176, None), (151, None), (132, Fraction(4, 3))])
def test_file_shows_the_video(width, aspect, tmp_path, make_video):
    grey = np.full((5, 144, width, 3), 127, np.uint8)
    video = make_video(tmp_path / "video.mp4", grey, aspect=aspect)
    if aspect is not None:
        width = int(width * aspect)
        grey = np.full((5, 144, width, 3), 127, np.uint8)
    target = tmp_path / "deep/er/overlay.mp4"
    write_overlay(video, clip_of(5), LAYOUT, target)
    with av.open(str(target)) as container:
        assert container.streams.video[0].average_rate == 25
        assert container.streams.video[0].sample_aspect_ratio in (None, 0, 1)
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 5
    assert pictures[0].shape == (144, width // 2 * 2, 3)
    expected = draw_skeleton(grey[4], clip_of(5), LAYOUT, 4)[:, : width // 2 * 2]
    drawn = (expected != 127).any(-1)
    # Encoding blurs lines of one pixel, but they are where they were drawn.
    assert np.abs(pictures[4].astype(int) - 127)[drawn].mean() > 30
    assert np.abs(pictures[4].astype(int) - 127)[~drawn].mean() < 4
    assert list(target.parent.iterdir()) == [target]


def test_clip_of_another_video(one_clip, tmp_path):
    with pytest.raises(DataError, match=r"one.mp4: has 10 frames, clip 'clip' 9; the video is not the one"):
        write_overlay(one_clip, clip_of(9), LAYOUT, tmp_path / "overlay.mp4")
    assert not list(tmp_path.glob("*overlay*"))
