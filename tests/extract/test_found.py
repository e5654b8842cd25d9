import numpy as np
import pytest

from pcan_extract.found import Found, count_found
from pcan_pose.skeleton import skeleton


def test_found_frames_count_once_whoever_it_is():
    layout = skeleton("openpose28")
    scores = np.zeros((2, 4, 28), np.float32)
    scores[0, 0, layout.index("nose")] = 1
    scores[1, 0, layout.index("nose")] = 1
    scores[1, 2, layout.index("left_wrist")] = 0.1
    scores[0, 3, layout.index("left_thumb_tip")] = 0.5
    assert count_found(scores, layout) == Found(4, 2, 1)


@pytest.mark.parametrize(
    ("name", "hand"), [("coco17", None), ("mediapipe_holistic", 5), ("kinect20", 5), ("kinect25", 5)]
)
def test_layout_without_hands_says_so(name, hand):
    layout = skeleton(name)
    assert count_found(np.ones((1, 5, layout.num_joints), np.float32), layout) == Found(5, 5, hand)


def test_sum_of_counts():
    assert sum([Found(4, 2, 1), Found(3, 3, 3)], Found()) == Found(7, 5, 4)
    assert Found(4, 2, 1) + Found(3, 3, None) == Found(7, 5, None)
