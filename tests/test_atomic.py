"""Files that appear whole or not at all, and what killed writers leave."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pcan_pose.atomic import atomic_folder, atomic_write, check_file_writable, remove_half_written, save_array
from pcan_pose.engine.checkpoint import save_checkpoint
from pcan_pose.errors import DataError, ScoreError


class Killed(BaseException):
    pass


def test_a_folder_replaces_another_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder"
    for content in ("first", "second"):
        with atomic_folder(path) as fresh:
            (fresh / content).touch()
            assert not (path / content).exists()
        assert [file.name for file in path.iterdir()] == [content]
        assert [file.name for file in path.parent.iterdir()] == ["folder"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with pytest.raises(Killed), atomic_folder(tmp_path / "folder") as fresh:
        (fresh / "new").touch()
        raise Killed
    assert [file.name for file in tmp_path.rglob("*")] == ["folder", "old"]


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.zeros((0, 2), np.uint8), np.arange(4)[::2]])
def test_arrays_are_saved_as_numpy_does(tmp_path: Path, array: np.ndarray) -> None:
    save_array(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_told_by_the_name_of_what_was_to_be_written(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    tensor = torch.zeros(10_000)
    table = pa.table({"column": np.random.default_rng(0).random(10_000)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        for suffix in (".txt", ".parquet"):
            with pytest.raises(OSError) as caught, atomic_write(tmp_path / f"a{suffix}") as temporary:
                temporary.write_text("a" * 10_000) if suffix == ".txt" else pq.write_table(table, temporary)
            assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / f"a{suffix}"), "File too large")
        for name, save in (("a.npy", save_array), ("a.pt", lambda path, array: save_checkpoint(path, {"a": tensor}))):
            with pytest.raises(OSError) as caught:
                save(tmp_path / name, np.zeros(10_000))
            assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / name), "File too large")
        with (
            pytest.raises(OSError) as caught,
            atomic_folder(tmp_path / "folder") as fresh,
            atomic_write(fresh / "a.txt") as temporary,
        ):
            temporary.write_text("a" * 10_000)
        assert caught.value.filename == str(tmp_path / "folder")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError, Killed])
def test_a_folder_that_cannot_take_its_place_gives_it_back(tmp_path, monkeypatch, error) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    rename, calls = Path.rename, []

    def second_fails(path: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(error), atomic_folder(tmp_path / "folder"):
        pass
    assert [file.name for file in tmp_path.rglob("*")] == ["folder", "old"]


def write_halfway(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the temporary file that a writer leaves who is killed before it can clean up."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(Killed), atomic_write(path) as temporary:
            temporary.write_bytes(b"half")
            raise Killed
    assert temporary.read_bytes() == b"half"
    return temporary


@pytest.mark.parametrize("name", ["clip.mp4", "no suffix", "two.dots.parquet", "1.2.tmp.mp4", "[a]*?.mp4", "ö" * 120])
def test_what_a_killed_writer_leaves_is_removed_and_nothing_else(name, tmp_path, monkeypatch):
    path = tmp_path / "folder" / name
    left = write_halfway(path, monkeypatch)
    others = [
        write_halfway(path.with_name(f"another {name}"[:60]), monkeypatch),
        write_halfway(tmp_path / name, monkeypatch),
        path.with_name(f".{name}.tmp"),
    ]
    others[-1].touch()
    path.write_bytes(b"whole")
    remove_half_written([path, tmp_path / "missing" / name])
    assert not left.exists()
    assert path.read_bytes() == b"whole"
    assert all(other.exists() for other in others)


def test_nobody_sees_half_a_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(Killed), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise Killed
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file.txt", "before")]
    with atomic_write(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("file.txt", "after")]


@pytest.mark.parametrize("place", [".", "/", "..", "folder", "new/.."])
def test_a_folder_is_no_file_to_write(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        DataError, match=rf"^{re.escape(place)}: cannot be written \(it is a folder\); name a file in it"
    ):
        check_file_writable(place)
    with pytest.raises(ScoreError):
        check_file_writable(place, ScoreError)


@pytest.mark.parametrize("place", ["", ".", "/", "folder"])
def test_writing_to_a_folder_fails_before_the_work(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError), atomic_write(place):
        raise AssertionError("no block is run")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for place in ("file/new", "file/deep/new"):
        with pytest.raises(DataError) as caught:
            check_file_writable(tmp_path / place)
        assert str(caught.value) == (
            f"{tmp_path / place}: cannot be written ({tmp_path / 'file'} is a file, not a folder); name another place."
        )
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"pipe: cannot be written \(it is no regular file\); name another\."):
        check_file_writable(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match=f"no permission to write in {re.escape(str(tmp_path))}"):
        check_file_writable(tmp_path / "deep" / "new")


def test_places_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("gone")
    for place in ("new", "file", "link", "deep/er/new", tmp_path / "new"):
        check_file_writable(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
