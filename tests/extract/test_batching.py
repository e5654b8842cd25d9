"""Batches that are filled from several videos."""

from pathlib import Path

import pytest

from pcan_extract.backends.batching import fill_batches
from pcan_extract.grouping import GroupLimits, group_videos
from pcan_extract.inputs import VideoInput
from pcan_extract.plan import PlannedClip


class Network:
    """Answers every crop with its double, and notes its batches."""

    def __init__(self, fails_on=None):
        self.batches = []
        self._fails_on = fails_on

    def __call__(self, crops):
        self.batches.append(list(crops))
        if self._fails_on in crops:
            raise MemoryError("too large")
        return [2 * crop for crop in crops]


class Videos:
    """Videos whose crops are numbers; None is damage. It notes what was taken and what was closed."""

    def __init__(self, *contents):
        self.contents = contents
        self.taken, self.closed = [], []

    def __iter__(self):
        return (self._crops(i, content) for i, content in enumerate(self.contents))

    def _crops(self, i, content):
        self.taken.append(i)
        try:
            for crop in content:
                if crop is None:
                    raise ValueError("damaged")
                yield crop
        finally:
            self.closed.append(i)


def test_batches_go_on_with_the_next_video_and_answers_come_back_to_their_own():
    videos, network = Videos([1, 2, 3], [], [4], [5, 6, 7, 8, 9], [10]), Network()
    answers = list(fill_batches(videos, network, 4))
    assert network.batches == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [each.rows for each in answers] == [[2, 4, 6], [], [8], [10, 12, 14, 16, 18], [20]]
    assert all(each.error is None for each in answers)
    assert videos.closed == [0, 1, 2, 3, 4]


def test_answers_come_as_soon_as_they_are_complete():
    videos = Videos([1], [2, 3, 4, 5], [6])
    answers = fill_batches(videos, Network(), 2)
    assert next(answers).rows == [2]
    assert videos.taken == [0, 1]
    answers.close()
    assert videos.closed == [0, 1]


def test_damaged_video_leaves_the_batch_and_its_neighbours_whole():
    network = Network()
    first, damaged, last = fill_batches(Videos([1, 2, 3], [4, 5, None, 6], [7]), network, 4)
    # It had one place in the second batch, which its neighbour has now.
    assert network.batches == [[1, 2, 3, 4], [7]]
    assert (first.rows, last.rows) == ([2, 4, 6], [14])
    assert str(damaged.error) == "damaged" and first.error is last.error is None


def test_damage_before_the_first_crop():
    network = Network()
    answers = list(fill_batches(Videos([None], [1], [None]), network, 4))
    assert [str(each.error) for each in answers] == ["damaged", "None", "damaged"]
    assert network.batches == [[1]]


def test_network_that_fails_costs_the_videos_of_its_batch_and_ends_them():
    videos, network = Videos([1], [2, 3], [4, 5, 6, 7], [8, 9]), Network(fails_on=4)
    answers = list(fill_batches(videos, network, 2))
    assert [str(each.error) for each in answers] == ["None", "too large", "too large", "None"]
    # Nothing more is asked of the third.
    assert network.batches == [[1, 2], [3, 4], [8, 9]]
    assert answers[3].rows == [16, 18]
    assert videos.closed == [0, 1, 2, 3]


def test_time_is_shared_out_by_crops(monkeypatch):
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    # To take a crop, to see that there is none, and to run a batch takes 6 s each.
    first, second = fill_batches(Videos([1], [2, 3]), Network(), 3)
    assert first.seconds == pytest.approx(12 + 2)
    assert second.seconds == pytest.approx(18 + 4)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (GroupLimits(1), ["a", "b", "c", "d", "e"]),
        (GroupLimits(2), ["ab", "cd", "e"]),
        (GroupLimits(9, 40), ["ab", "c", "de"]),
        (GroupLimits(9, 1), ["a", "b", "c", "de"]),
    ],
)
def test_groups_end_at_videos_or_bytes(limits, expected):
    sizes = {"a": 10, "b": 30, "c": 90, "d": 1, "e": -1}
    clips = [PlannedClip(VideoInput(name, Path(name), name), size, 0) for name, size in sizes.items()]
    assert ["".join(each.clip_id for each in group) for group in group_videos(clips, limits)] == expected
