from pathlib import Path

import pytest

from pcan_extract.inputs import find_inputs
from pcan_extract.labels import read_label_list
from pcan_pose.errors import DataError
from pcan_pose.taxonomy import MA52


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def label_list(path: Path, text: str) -> str:
    path.write_text(text, newline="")
    return str(path)


def test_folder_is_searched_and_sorted(tmp_path):
    touch(tmp_path, "b.mp4", "a/z.MOV", "a/b/c.avi", "a/notes.txt", "a/.hidden.mp4")
    inputs = find_inputs([tmp_path])
    assert [video.clip_id for video in inputs.videos] == ["a/b/c", "a/z", "b"]
    assert [video.source for video in inputs.videos] == ["a/b/c.avi", "a/z.MOV", "b.mp4"]
    assert inputs.videos[2].path == tmp_path / "b.mp4"
    assert inputs.notices == ("1 hidden video files left out.",)


def test_camcorders_files_are_videos(tmp_path):
    names = [f"{name}.{name}" for name in ("asf", "dv", "m2ts", "mts", "mxf", "ogv", "vob")]
    touch(tmp_path, "CLIP.MTS", *names)
    assert [video.source for video in find_inputs([tmp_path]).videos] == ["CLIP.MTS", *names]


def test_arguments_keep_their_order(tmp_path):
    touch(tmp_path, "z.mp4", "a/b.mp4")
    inputs = find_inputs([tmp_path / "z.mp4", tmp_path / "a", tmp_path / "a"])
    assert [video.clip_id for video in inputs.videos] == ["z", "b"]


def test_link_to_a_folder_above_ends(tmp_path):
    touch(tmp_path, "a/b.mp4")
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert [video.clip_id for video in find_inputs([tmp_path]).videos] == ["a/b"]


def test_all_faults_at_once(tmp_path):
    touch(tmp_path, "one/a.mp4", "two/a.mp4", "two/a.mov", "empty/readme.txt")
    with pytest.raises(DataError) as caught:
        find_inputs([tmp_path / "none", tmp_path / "empty", tmp_path / "one", tmp_path / "two", tmp_path])
    faults = caught.value.faults
    assert faults[0] == f"{tmp_path}/none: no such file or folder."
    assert faults[1].startswith(f"{tmp_path}/empty: no video in this folder (looked for .3gp, .asf,")
    assert faults[2] == (
        f"clip id 'a' stands for {tmp_path}/one/a.mp4 and {tmp_path}/two/a.mov and {tmp_path}/two/a.mp4; "
        "give the folder above them, or rename one."
    )
    assert faults[3].startswith(f"clip id 'two/a' stands for {tmp_path}/two/a.mov and {tmp_path}/two/a.mp4;")
    assert faults[4] == f"{tmp_path}/one/a.mp4 is given twice, as clips 'a' and 'one/a'; give it once."


def test_labels_splits_and_subjects(tmp_path):
    touch(tmp_path, "0003_01_0001.mp4", "sub/0004_02_0002.mp4", "test0000.mp4", "other.mp4")
    lists = [
        read_label_list(label_list(tmp_path / "train_list_videos.txt", "0003_01_0001.mp4 9\r\nlost.mp4 3\r\n"), MA52),
        read_label_list(f"val={label_list(tmp_path / 'second.txt', '0004_02_0002.mp4 51')}", MA52),
        read_label_list(label_list(tmp_path / "test_list_videos.txt", "test0000.mp4 0\n"), MA52),
    ]
    inputs = find_inputs([tmp_path], lists, MA52)
    found = {video.source: (video.splits, video.label, video.subject) for video in inputs.videos}
    assert found == {
        "0003_01_0001.mp4": (("train",), 9, "0003"),
        "sub/0004_02_0002.mp4": (("val",), 51, "0004"),
        "test0000.mp4": (("test",), None, None),
        "other.mp4": ((), None, None),
    }
    assert inputs.absent == ("lost.mp4",)
    assert inputs.unlisted == ("other.mp4",)
    assert inputs.notices == (
        f"{tmp_path}/test_list_videos.txt: all 1 labels are 0, as in MA-52's test list: stored as unknown.",
        "1 file (lost.mp4) named in a label list not found.",
        "1 video (other.mp4) in no label list: stored without label and split.",
    )


def test_folders_named_as_splits(tmp_path):
    touch(tmp_path, "train/0001.mp4", "val/0001.mp4", "0002.mp4")
    lists = [
        read_label_list(label_list(tmp_path / f"{split}.txt", f"0001.mp4 {label}"), MA52)
        for split, label in (("train", 1), ("val", 2))
    ]
    with_lists = {video.source: (video.splits, video.label) for video in find_inputs([tmp_path], lists).videos}
    assert with_lists == {"train/0001.mp4": (("train",), 1), "val/0001.mp4": (("val",), 2), "0002.mp4": ((), None)}
    without = find_inputs([tmp_path])
    assert [video.splits for video in without.videos] == [(), ("train",), ("val",)]
    assert without.notices == ("splits taken from the folders' names: train 1, val 1.",)


def test_one_video_in_two_lists(tmp_path):
    touch(tmp_path, "a.mp4")
    one = read_label_list(label_list(tmp_path / "train.txt", "a.mp4 1"), MA52)
    same = read_label_list(label_list(tmp_path / "val.txt", "a.mp4 1"), MA52)
    other = read_label_list(label_list(tmp_path / "test.txt", "a.mp4 2"), MA52)
    assert find_inputs([tmp_path], [one, same]).videos[0].splits == ("train", "val")
    with pytest.raises(DataError) as caught:
        find_inputs([tmp_path], [one, other])
    assert str(caught.value) == (
        f"a.mp4: the label is 1 in {tmp_path}/train.txt and 2 in {tmp_path}/test.txt; correct one of the lists."
    )


def test_list_with_faults(tmp_path):
    path = label_list(tmp_path / "list.txt", "a.mp4 1\nb.mp4\n\nc.mp4 52\na.mp4 2\nd.mp4 -1\nmy film.mp4 3\n")
    with pytest.raises(DataError) as caught:
        read_label_list(path, MA52)
    assert caught.value.faults == (
        f"{path}: the name does not say which split this is; write train={path}, or val=, or test=.",
        f"{path}:2: got 'b.mp4', expected a file name and an action ('a.mp4 9').",
        f"{path}:4: action 52 is not in ma52's 0..51.",
        f"{path}:5: a.mp4 is named twice.",
        f"{path}:6: got 'd.mp4 -1', expected a file name and an action ('a.mp4 9').",
    )


def test_very_many_faults_are_counted(tmp_path):
    path = label_list(tmp_path / "train.txt", "wrong\n" * 100)
    with pytest.raises(DataError) as caught:
        read_label_list(path, MA52)
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == "... and 80 faults more."


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "label list cannot be read (No such file or directory)."),
        (b"\xff\xfe\x00\x01", "label list is not text in UTF-8."),
        (b"\n", "label list without a line."),
    ],
)
def test_list_that_is_none(content, text, tmp_path):
    path = tmp_path / "train.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_label_list(str(path), MA52)
    assert str(caught.value) == f"{path}: {text}"


def test_ma52_lists(shared):
    lists = [
        read_label_list(str(shared / "ma52" / f"{name}_list_videos.txt"), MA52) for name in ("train", "val", "test")
    ]
    assert [(entry.split, len(entry.labels)) for entry in lists] == [("train", 11250), ("val", 5586), ("test", 5586)]
    assert set(lists[2].labels.values()) == {None}
    inputs = find_inputs([shared / "ma52/videos"], lists, MA52)
    assert {video.clip_id: (video.label, video.subject) for video in inputs.videos} == {
        "0010_02_0101": (23, "0010"),
        "0019_02_0078": (None, "0019"),
        "0020_01_0008": (9, "0020"),
        "0030_01_0002": (9, "0030"),
        "0035_02_0007": (None, "0035"),
        "0078_01_0005": (9, "0078"),
    }
    assert inputs.unlisted == ("0019_02_0078.mp4", "0035_02_0007.mp4")
    assert len(inputs.absent) == 11250 + 5586 + 5586 - 4
