"""Submissions are what the challenge asks, byte for byte, and what does not fit is refused."""

import csv
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcan_pose.clip_list import read_clip_list
from pcan_pose.errors import ScoreError
from pcan_pose.scores import ScoreSet
from pcan_pose.submission import HEADER, MA52_TEST_VIDEOS, check_submission, submission_csv, write_submission
from pcan_pose.taxonomy import MA52, Taxonomy

SHARED = Path(__file__).resolve().parents[2] / "shared" / "ma52"
FIXTURE = (
    b"vid,action_pred_1,action_pred_2,action_pred_3,action_pred_4,action_pred_5,"
    b"body_pred_1,body_pred_2,body_pred_3,body_pred_4,body_pred_5\r\n"
    b"test0002.mp4,9,7,8,10,6,1,2,3,5,4\r\n"
    b"test0000.mp4,51,0,23,24,11,6,0,2,1,5\r\n"
    b"clip 1.mp4,3,4,5,6,7,0,1,2,3,4\r\n"
)


def reproduce(content: bytes, folder: str = "") -> tuple[ScoreSet, list[str]]:
    """Scores in another order whose five likeliest classes are those of a prediction.csv, and its videos."""
    lines = list(csv.reader(content.decode().splitlines()))[1:]
    rng = np.random.default_rng(0)
    action, body = (rng.random((len(lines), width)) for width in (MA52.num_actions, MA52.num_body_parts))
    classes = np.asarray([line[1:] for line in lines], np.int64)  # (N, 10)
    places = np.arange(len(lines))[:, None]
    action[places, classes[:, :5]] = body[places, classes[:, 5:]] = np.arange(6, 1, -1)
    shuffled = rng.permutation(len(lines))
    scores = ScoreSet(
        [folder + lines[row][0].removesuffix(".mp4") for row in shuffled],
        np.full(len(lines), -1),
        action[shuffled],
        body[shuffled],
        MA52,
        "joint",
        "m",
    )
    return scores, [line[0] for line in lines]


def written(folder: Path, text: bytes, name: str = "prediction.csv") -> Path:
    with zipfile.ZipFile(folder / "s.zip", "w") as archive:
        archive.writestr(name, text)
    return folder / "s.zip"


@pytest.mark.parametrize("folder", ["", "test/"])
def test_equals_the_fixture_byte_for_byte(tmp_path: Path, folder: str) -> None:
    scores, videos = reproduce(FIXTURE, folder)
    assert submission_csv(scores, videos) == FIXTURE
    path = write_submission(tmp_path / "new" / "out.zip", scores, videos)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["prediction.csv"]
        assert archive.read("prediction.csv") == FIXTURE
    first = path.read_bytes()
    assert write_submission(path, scores, videos).read_bytes() == first


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the official prediction in ../shared/ma52")
def test_equals_the_official_file_byte_for_byte(tmp_path: Path) -> None:
    official = (SHARED / "pcan_prediction.csv").read_bytes()
    scores, videos = reproduce(official, "test/")
    assert tuple(videos) == MA52_TEST_VIDEOS == read_clip_list(SHARED / "test_list_videos.txt").videos
    with zipfile.ZipFile(write_submission(tmp_path / "out.zip", scores)) as archive:
        assert archive.read("prediction.csv") == official


def test_ties_go_to_the_lowest_id() -> None:
    rng = np.random.default_rng(0)
    action, body = rng.integers(0, 4, (50, 52)).astype(float), rng.integers(0, 3, (50, 7)).astype(float)
    names = [f"c{i}" for i in range(50)]
    scores = ScoreSet(names, np.full(50, -1), action, body, MA52, "s", "m")
    for line, *rows in zip(submission_csv(scores, names).decode().splitlines()[1:], action, body, strict=True):
        ranked = [sorted(range(len(row)), key=lambda k, row=row: (-row[k], k))[:5] for row in rows]
        assert line.split(",")[1:] == [str(k) for level in ranked for k in level]


def test_missing_and_extra_clips_are_named(tmp_path: Path) -> None:
    scores, videos = reproduce(FIXTURE)
    with pytest.raises(ScoreError) as caught:
        write_submission(tmp_path / "out.zip", scores, [*videos[:2], "test0009.mp4"])
    assert str(caught.value) == (
        "submission: 3 clips for the 3 asked for: 1 missing (test0009), 1 not asked for (clip 1)."
    )
    assert not list(tmp_path.iterdir())
    with pytest.raises(ScoreError, match=re.escape("3 clips for the 5586 asked for: 5584 missing (test0001, test0003")):
        submission_csv(scores)


def test_two_clips_of_one_video_are_named() -> None:
    scores = ScoreSet(["a/x", "b/x.mp4"], np.array([-1, -1]), np.zeros((2, 52)), np.zeros((2, 7)), MA52, "s", "m")
    with pytest.raises(ScoreError, match=re.escape("there more than once (x)")):
        submission_csv(scores, ["x.mp4"])


def test_other_taxonomies_need_a_list_and_five_classes() -> None:
    tree = Taxonomy("small", ("a", "b"), ("x",), (0, 0))
    scores = ScoreSet(["c"], np.array([0]), np.zeros((1, 2)), np.zeros((1, 1)), tree, "s", "m")
    with pytest.raises(ScoreError, match="only ma52's test clips are known"):
        submission_csv(scores)
    with pytest.raises(ScoreError, match="action: 2 classes, the submission names the 5 likeliest"):
        submission_csv(scores, ["c"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"vid,", b"id,"), "the first line is 'id,action_pred_1"),
        ((b"test0002.mp4,9", b"test0002.mp4,52"), "test0002.mp4: action classes are 52, 7, 8, 10, 6, expected whole"),
        ((b"test0002.mp4,9", b"test0002.mp4,x"), "test0002.mp4: action classes are x, 7"),
        ((b"1,2,3,5,4", b"1,2,3,5,7"), "body classes are 1, 2, 3, 5, 7, expected whole numbers in 0..6."),
        ((b"1,2,3,5,4", b"1,2,3,5,1"), "body classes are 1, 2, 3, 5, 1: one is named twice."),
        ((b"1,2,3,5,4", b"1,2,3,5"), "9 classes, expected 10."),
        ((b"clip 1.mp4,", b"test0000.mp4,"), "1 missing (clip 1.mp4), 1 there more than once (test0000.mp4)."),
    ],
)
def test_damaged_submissions_are_named(tmp_path: Path, change: Any, message: str) -> None:
    _, videos = reproduce(FIXTURE)
    check_submission(written(tmp_path, FIXTURE), MA52, videos)
    with pytest.raises(ScoreError, match=re.escape(message)):
        check_submission(written(tmp_path, FIXTURE.replace(*change)), MA52, videos)


def test_order_folder_and_format_are_checked(tmp_path: Path) -> None:
    _, videos = reproduce(FIXTURE)
    with pytest.raises(ScoreError, match="in another order than the list's"):
        check_submission(written(tmp_path, FIXTURE), MA52, videos[::-1])
    with pytest.raises(ScoreError, match="holds folder/prediction.csv, expected prediction.csv alone and in no folder"):
        check_submission(written(tmp_path, FIXTURE, "folder/prediction.csv"), MA52, videos)
    (tmp_path / "s.zip").write_bytes(FIXTURE)
    with pytest.raises(ScoreError, match="not a readable zip"):
        check_submission(tmp_path / "s.zip", MA52, videos)


def test_the_header_is_the_challenge_s() -> None:
    assert ",".join(HEADER).encode() == FIXTURE.split(b"\r\n")[0]


def test_a_folder_is_no_submission(tmp_path: Path) -> None:
    for place in (tmp_path, "."):
        with pytest.raises(ScoreError, match=re.escape(f"{place}: cannot be written (it is a folder)")):
            write_submission(place, *reproduce(FIXTURE))
