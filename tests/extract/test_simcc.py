"""Reading a pose network's answers."""

import re

import numpy as np
import numpy.typing as npt
import pytest

from pcan_extract.backends.crops import Size
from pcan_extract.backends.simcc import decode, decode_heatmaps, decode_simcc
from pcan_pose.errors import CheckpointError

SIZE = Size(width=6, height=8)
NAMES = ("simcc_x", "simcc_y")


def vectors(peaks: list[tuple[int, float]], length: int) -> npt.NDArray[np.float32]:
    """Return float32 (1, V, L) with one peak a joint, at a bin and of a height."""
    answer = np.full((1, len(peaks), length), -1, np.float32)
    for joint, (place, value) in enumerate(peaks):
        answer[0, joint, place] = value
    return answer


def test_a_joint_is_where_both_vectors_are_highest_and_as_sure_as_the_lower() -> None:
    columns = vectors([(3, 0.5), (11, 0.25), (0, 3.0), (4, -0.5)], 12)
    rows = vectors([(15, 0.75), (0, 0.125), (7, 2.0), (5, 0.5)], 16)
    points, scores = decode_simcc(columns, rows, SIZE)
    np.testing.assert_array_equal(points[0, :3], [[1.5, 7.5], [5.5, 0], [0, 3.5]])
    np.testing.assert_array_equal(scores[0], np.array([0.5, 0.125, 1, 0], np.float32))
    assert points.dtype == scores.dtype == np.float32


def test_the_split_ratio_comes_from_the_lengths() -> None:
    points, _ = decode_simcc(vectors([(9, 1)], 18), vectors([(12, 1)], 24), SIZE)
    np.testing.assert_array_equal(points, [[[3, 4]]])


@pytest.mark.parametrize("names", [NAMES, ("output_a", "output_b")])
def test_the_order_of_the_vectors_follows_from_names_or_lengths(names: tuple[str, str]) -> None:
    columns, rows = vectors([(3, 0.5)], 12), vectors([(15, 0.75)], 16)
    forwards = decode([columns, rows], names, SIZE)
    backwards = decode([rows, columns], names[::-1] if names == NAMES else names, SIZE)
    np.testing.assert_array_equal(forwards[0], [[[1.5, 7.5]]])
    np.testing.assert_array_equal(forwards[0], backwards[0])


def naive_heatmaps(heatmaps: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return joints in pixels of the heatmap, by loops over joints as MMPose has them."""
    count, joints, height, width = heatmaps.shape
    points = np.zeros((count, joints, 2))
    for n in range(count):
        for v in range(joints):
            y, x = np.unravel_index(heatmaps[n, v].argmax(), (height, width))
            move_x = move_y = 0.0
            if 1 < x < width - 1 and 0 < y < height:
                move_x = np.sign(heatmaps[n, v, y, x + 1] - heatmaps[n, v, y, x - 1]) * 0.25
            if 1 < y < height - 1 and 0 < x < width:
                move_y = np.sign(heatmaps[n, v, y + 1, x] - heatmaps[n, v, y - 1, x]) * 0.25
            points[n, v] = x + move_x, y + move_y
    return points


def test_heatmaps_are_read_as_by_a_loop() -> None:
    # So small that peaks lie on every edge and in every corner.
    heatmaps = np.random.default_rng(1).uniform(-0.5, 1.25, (40, 5, 4, 3)).astype(np.float32)
    points, scores = decode([heatmaps], ["output"], SIZE)
    np.testing.assert_allclose(points, naive_heatmaps(heatmaps) * (2, 2), rtol=1e-6)
    np.testing.assert_array_equal(scores, heatmaps.max((2, 3)).clip(0, 1))
    assert decode_heatmaps(heatmaps, SIZE)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ([(1, 17, 12)], "the network answers with a (1, 17, 12); expected SimCC vectors"),
        ([(1, 17, 12), (1, 16, 16)], "the network answers with a (1, 17, 12), b (1, 16, 16); expected SimCC"),
        ([(1, 17, 12), (1, 17, 15)], "vectors of 12 and 15 bins, which are no multiple of its input of 6 x 8 pixels"),
        ([(1, 5, 5), (1, 5), (1, 5, 17, 2)], "the network answers with a (1, 5, 5), b (1, 5), c (1, 5, 17, 2)"),
    ],
)
def test_answers_of_other_networks_are_refused(shapes: list[tuple[int, ...]], told: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(told)):
        decode([np.zeros(shape, np.float32) for shape in shapes], list("abc")[: len(shapes)], SIZE)
