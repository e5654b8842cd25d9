"""Annotation lists name the clips in their order."""

from pathlib import Path

import pytest

from pcan_extract.labels import read_label_list
from pcan_pose.clip_list import clip_name, read_clip_ids, read_clip_list
from pcan_pose.errors import DataError
from pcan_pose.taxonomy import MA52


def listed(folder: Path, text: str) -> Path:
    (folder / "list.txt").write_bytes(text.encode())
    return folder / "list.txt"


@pytest.mark.parametrize("name", ["test/test0000", "test0000.mp4", "a/b/test0000.MP4", "a\\test0000.avi", "test0000"])
def test_a_clip_has_one_name_with_or_without_folder_and_suffix(name: str) -> None:
    assert clip_name(name) == "test0000"


def test_only_suffixes_of_videos_are_dropped() -> None:
    assert clip_name("a/v1.25") == "v1.25"


def test_order_and_labels_are_kept(tmp_path: Path) -> None:
    clips = read_clip_list(listed(tmp_path, "b.mp4 3\r\na.mp4 0\r\n\r\nc.mp4 51\r\n"))
    assert clips.videos == ("b.mp4", "a.mp4", "c.mp4")
    assert clips.labels.tolist() == [3, 0, 51]


@pytest.mark.parametrize(
    "text",
    ["test0000.mp4 0\ntest0001.mp4 0\n", "test/test0000 0\ntest/test0001.MP4 0\n", "a.mp4\nb.mp4\n"],
    ids=["placeholders of MA-52", "placeholders, written otherwise", "names alone"],
)
def test_labels_may_be_unknown(tmp_path: Path, text: str) -> None:
    assert read_clip_list(listed(tmp_path, text)).labels.tolist() == [-1, -1]


def test_lists_are_read_as_the_extraction_reads_them(tmp_path: Path) -> None:
    text = "a.mp4\t0\nsub/my clip.MPG  0\n2.ts 0\n"
    clips = read_clip_list(listed(tmp_path, text))
    assert read_label_list(f"test={clips.path}", MA52).labels == dict(zip(clips.videos, clips.labels, strict=True))
    assert [clip_name(video) for video in clips.videos] == ["a", "my clip", "2"]
    assert read_clip_list(listed(tmp_path, "my clip.mp4\n")).videos == ("my clip.mp4",)


def test_every_fault_is_named_with_its_line(tmp_path: Path) -> None:
    path = listed(tmp_path, "a.mp4 1\nb.mp4 x\nc d\nfolder/a 2\n")
    with pytest.raises(DataError) as caught:
        read_clip_list(path)
    assert caught.value.faults == (
        f"{path}, line 2: 'b.mp4 x' is not a file name and an action id of 0 or more.",
        f"{path}, line 3: 'c d' is not a file name and an action id of 0 or more.",
        f"{path}, line 4: folder/a is on line 1 already.",
    )


def test_long_lists_of_faults_and_empty_files_are_short(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="and 3 faults more"):
        read_clip_list(listed(tmp_path, "".join(f"c{i} -1\n" for i in range(23))))
    with pytest.raises(DataError, match="names no clip"):
        read_clip_list(listed(tmp_path, "\n\n"))
    with pytest.raises(DataError, match="cannot be read as a text file"):
        read_clip_list(tmp_path / "none.txt")


def test_clip_ids_of_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("b\n\n a \nb\n", encoding="utf-8-sig")
    assert read_clip_ids(file) == ("b", "a")
    file.write_text("\n")
    with pytest.raises(DataError, match=r"ids\.txt: holds no clip id; write one a line"):
        read_clip_ids(file)
