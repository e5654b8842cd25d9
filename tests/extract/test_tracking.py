"""People made of a few joints in moving boxes; who is who is known."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from pcan_extract.boxes import around_joints, grown, is_picture, overlaps
from pcan_extract.tracking import FramePoses, follow

WIDTH, HEIGHT, JOINTS = 400, 300, 3
Box = tuple[float, float, float, float]


def frame(*people: tuple[float, Box]) -> FramePoses:
    """Return a frame of people; every score of a person is the number that names the person."""
    boxes = np.array([box for _, box in people], np.float32).reshape(-1, 4)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    keypoints = middles[:, None] + np.array([[-9, -9], [0, 0], [9, 9]], np.float32)
    scores = np.repeat(np.array([name for name, _ in people], np.float32)[:, None], JOINTS, axis=1)
    return FramePoses(keypoints, scores.reshape(-1, JOINTS), boxes)


def at(x: float, y: float = 150, width: float = 60, height: float = 120) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def who(frames: Sequence[FramePoses], persons: int = 1, patience: int = 30) -> list[list[float]]:
    """Return the names of the kept persons frame by frame, 0 where they are missing; one row a person."""
    keypoints, scores = follow(frames, persons=persons, joints=JOINTS, width=WIDTH, height=HEIGHT, patience=patience)
    assert keypoints.shape == (*scores.shape, 2) and len(scores) == len(frames)
    assert keypoints.dtype == scores.dtype == np.float32
    names: npt.NDArray[np.float32] = scores[:, :, 0]
    for t, poses in enumerate(frames):
        for m, name in enumerate(names[t].tolist()):
            place = poses.scores[:, 0].tolist().index(name) if name else None
            expected = np.zeros((JOINTS, 2)) if place is None else poses.keypoints[place]
            assert (keypoints[t, m] == expected).all()
    return [[round(name, 3) for name in row] for row in names.T.tolist()]


def film(paths: Mapping[float, Sequence[Box | None]]) -> list[FramePoses]:
    """Return frames of people's boxes, None where a person is not seen; the order in a frame changes all the time."""
    frames = []
    for t, boxes in enumerate(zip(*paths.values(), strict=True)):
        people = [(name, box) for name, box in zip(paths, boxes, strict=True) if box is not None]
        frames.append(frame(*(people if t % 2 else people[::-1])))
    return frames


def test_people_who_cross_stay_apart() -> None:
    right = [at(60 + 5 * t) for t in range(40)]
    left = [at(290 - 5 * t, y=170) for t in range(40)]
    assert sorted(who(film({0.5: right, 0.9: left}), persons=2)) == [[0.5] * 40, [0.9] * 40]


def test_somebody_hidden_while_crossing_is_found_on_the_other_side() -> None:
    hidden: list[Box | None] = [at(60 + 5 * t) for t in range(40)]
    front = [at(290 - 5 * t) for t in range(40)]
    for t in range(16, 31):
        hidden[t] = None
    rows = who(film({0.5: hidden, 0.9: front}), persons=2)
    assert sorted(rows) == [[0.5] * 16 + [0] * 15 + [0.5] * 9, [0.9] * 40]


def test_somebody_lost_is_found_nearby_in_time() -> None:
    back = [*[at(100)] * 5, *[None] * 10, *[at(150)] * 5]
    assert who(film({0.5: back})) == [[0.5] * 5 + [0] * 10 + [0.5] * 5]
    assert who(film({0.5: back}), persons=2, patience=9) == [[0] * 15 + [0.5] * 5, [0.5] * 5 + [0] * 15]
    far = [*[at(100)] * 5, *[None] * 10, *[at(250)] * 5]
    assert len(who(film({0.5: far}), persons=2)) == 2


def test_somebody_long_hidden_goes_on_in_the_same_place_only() -> None:
    back = [*[at(100)] * 3, *[None] * 50, *[at(110)] * 3]
    assert who(film({0.5: back}), persons=2) == [[0.5] * 3 + [0] * 50 + [0.5] * 3]
    aside = [*[at(100)] * 3, *[None] * 50, *[at(150)] * 3]
    assert len(who(film({0.5: aside}), persons=2)) == 2


def test_somebody_lost_may_have_stopped() -> None:
    stopped = [*[at(40 + 10 * t) for t in range(12)], *[None] * 20, *[at(155)] * 3]
    assert who(film({0.5: stopped}), persons=2) == [[0.5] * 12 + [0] * 20 + [0.5] * 3]


def test_who_is_there_comes_before_who_is_lost() -> None:
    hidden: list[Box | None] = [at(200), at(200), None, None]
    passing = [at(240), at(230), at(225), at(200)]
    assert sorted(who(film({0.5: hidden, 0.9: passing}), persons=3)) == [[0.5, 0.5, 0, 0], [0.9] * 4]


def test_boxes_of_a_frame_are_assigned_together() -> None:
    # The first box overlaps most with the right person's, but the left person could have no other.
    frames = [frame((0.5, at(100)), (0.9, at(140))), frame((0.5, at(125)), (0.9, at(160)))]
    assert sorted(who(frames, persons=2)) == [[0.5, 0.5], [0.9, 0.9]]


@pytest.mark.parametrize(
    ("main", "other"),
    [
        pytest.param([at(300)] * 4, [None, at(100), at(100), None], id="longer in the picture"),
        pytest.param([at(300, width=80)] * 4, [at(100)] * 4, id="larger"),
        pytest.param([at(220)] * 4, [at(100)] * 4, id="more central"),
        pytest.param([at(200)] * 4, [at(-100, width=400)] * 4, id="not cut by the picture"),
    ],
)
def test_the_main_person_comes_first(main: list[Box | None], other: list[Box | None]) -> None:
    frames = film({0.5: other, 0.9: main})
    assert who(frames, persons=3) == [[0.9] * 4, [0.5 if box else 0 for box in other]]
    assert who(frames) == [[0.9] * 4]


def test_equals_come_by_first_appearance() -> None:
    frames = [frame((0.5, at(100)), (0.9, at(300)))] * 3
    assert who(frames, persons=2) == [[0.5] * 3, [0.9] * 3]
    assert who([frame((0.9, at(300))), frame((0.5, at(100)))], persons=2) == [[0.9, 0], [0, 0.5]]


def test_after_a_jump_cut_the_only_person_is_kept() -> None:
    # Both are the main person of a part; neither box overlaps with the other's.
    frames = film({0.5: [*[at(80)] * 6, *[None] * 4], 0.9: [*[None] * 6, *[at(320)] * 4]})
    assert who(frames) == [[0.5] * 6 + [0.9] * 4]
    again = film({0.5: [*[at(80)] * 3, *[None] * 5], 0.7: [*[None] * 3, *[at(200)] * 3, *[None] * 2]})
    again += [frame((0.9, at(320)))] * 4
    assert who(again)[0] == [0.5] * 3 + [0.7] * 3 + [0] * 2 + [0.9] * 4
    # Where there is room for both, nobody says that they are one.
    assert who(frames, persons=2) == [[0.5] * 6 + [0] * 4, [0] * 6 + [0.9] * 4]


def test_who_was_there_at_the_same_time_is_somebody_else() -> None:
    main = [*[at(200)] * 6, *[None] * 4]
    beside = [*[None] * 5, *[at(40)] * 5]
    assert who(film({0.5: main, 0.9: beside})) == [[0.5] * 6 + [0] * 4]
    # Nor does somebody stand in for one who is hidden for a while.
    hidden = [*[at(200)] * 4, *[None] * 3, *[at(200)] * 4]
    passing = [*[None] * 4, *[at(40)] * 3, *[None] * 4]
    assert who(film({0.5: hidden, 0.9: passing})) == [[0.5] * 4 + [0] * 3 + [0.5] * 4]


def test_more_tracks_than_persons_go_to_the_first_that_is_free() -> None:
    paths: dict[float, list[Box | None]] = {
        0.5: [*[at(200)] * 8, *[None] * 4],
        0.6: [*[at(60, y=80, height=60)] * 4, *[None] * 8],
        0.7: [*[None] * 5, *[at(340)] * 7],
        0.8: [*[None] * 9, *[at(60, y=250, height=60)] * 3],
    }
    first, second = [0.5] * 8 + [0] + [0.8] * 3, [0.6] * 4 + [0] + [0.7] * 7
    assert who(film(paths), persons=2) == [first, second]
    # There is no room for those who were there beside the main person.
    assert who(film(paths)) == [first]


def test_without_a_detector_one_person_is_kept_however_the_joints_jump() -> None:
    whole = np.array([[0, 0, WIDTH, HEIGHT]], np.float32)
    places = np.random.default_rng(0).uniform(0, 300, (20, 1, JOINTS, 2)).astype(np.float32)
    scores = np.full((20, 1, JOINTS), 0.5, np.float32)
    scores[7] = 0
    keypoints, got = follow(
        [FramePoses(k, s, whole) for k, s in zip(places, scores, strict=True)],
        persons=2,
        joints=JOINTS,
        width=WIDTH,
        height=HEIGHT,
    )
    assert (got == scores).all()
    seen = scores[:, 0, 0] > 0
    assert (keypoints[seen] == places[seen]).all() and not keypoints[~seen].any()


def test_people_without_boxes_are_told_apart_by_their_joints() -> None:
    whole = (0, 0, WIDTH, HEIGHT)
    frames = []
    for t in range(6):
        poses = frame((0.5, at(100 + t)), (0.9, at(300 - t)))
        order = [0, 1] if t % 2 else [1, 0]
        boxes = np.array([whole, whole], np.float32)
        frames.append(FramePoses(poses.keypoints[order], poses.scores[order], boxes))
    assert sorted(who(frames, persons=2)) == [[0.5] * 6, [0.9] * 6]


@pytest.mark.parametrize("frames", [[], [frame()] * 3, [frame((0, at(100)))] * 3, [frame((0, (0, 0, WIDTH, HEIGHT)))]])
def test_nobody(frames: list[FramePoses]) -> None:
    assert who(frames) == []


def test_a_shuffled_crowd_is_followed() -> None:
    random = np.random.default_rng(1)
    start = np.stack(np.meshgrid([50, 150, 250, 350], [60, 180]), -1).reshape(-1, 2)
    frames = []
    for t in range(50):
        boxes = [(0.1 + i / 10, at(*(place + 8 * np.sin(t / 5 + i)), 50, 90)) for i, place in enumerate(start)]
        kept = [box for box in boxes if random.random() > 0.2]
        frames.append(frame(*[kept[i] for i in random.permutation(len(kept))]))
    rows = who(frames, persons=99)
    assert len(rows) == 8
    assert sorted(len(set(row) - {0}) for row in rows) == [1] * 8


def test_following_one_person_does_not_load_scipy() -> None:
    code = (
        "import sys; sys.path[:0] = ['extract', 'tests/extract']\n"
        "import test_tracking as t\n"
        "assert t.who([t.frame((0.5, t.at(100))), t.frame((0.5, t.at(101)))]) == [[0.5, 0.5]]\n"
        "assert 'scipy.optimize' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_boxes() -> None:
    one = np.array([[0.0, 0, 10, 10], [5, 5, 5, 5]])
    other = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(overlaps(one, other), [[1, 1 / 3, 0], [0, 0, 0]])
    assert grown(np.array([[10.0, 10, 20, 14]])).tolist() == [[5, 8, 25, 16]]
    boxes = np.array([[0, 0, WIDTH, HEIGHT], [0, 0, WIDTH - 1, HEIGHT], [-2, 0.5, WIDTH, HEIGHT]], np.float32)
    assert is_picture(boxes, WIDTH, HEIGHT).tolist() == [True, False, True]
    keypoints = np.array([[[10, 20], [30, 50], [399, 299]]], np.float32)
    scores = np.array([[0.8, 0.5, 0.3]], np.float32)
    assert around_joints(keypoints, scores, WIDTH, HEIGHT).tolist() == [[-5, 5, 45, 65]]
