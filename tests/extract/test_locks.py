import threading
from pathlib import Path

import pytest

from pcan_extract.locks import FolderLock
from pcan_extract.share import EVERYTHING, Share
from pcan_pose.errors import ExtractionError

pytest.importorskip("fcntl", reason="this system has no file locks")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set/.staging"


@pytest.mark.parametrize("first", [EVERYTHING, Share(1, 2)])
@pytest.mark.parametrize("second", [EVERYTHING, Share(2, 2)])
def test_only_shares_go_together(first, second, folder):
    with FolderLock(folder, first):
        if not first.whole and not second.whole:
            with FolderLock(folder, second) as lock, lock.planning():
                pass
            return
        with (
            pytest.raises(ExtractionError, match="set: another process extracts into this folder; wait for it.$"),
            FolderLock(folder, second),
        ):
            pass


def test_one_share_has_one_job(folder):
    with FolderLock(folder, Share(1, 2)):
        with (
            pytest.raises(ExtractionError, match="into this folder as job 1/2; give each job its own number.$"),
            FolderLock(folder, Share(1, 2)),
        ):
            pass
        with FolderLock(folder, Share(2, 2)) as lock, lock.planning():
            pass


def test_all_jobs_divide_alike(folder):
    text = "into this folder as one of 2 jobs, this one is one of 3; give all the same number.$"
    with (
        FolderLock(folder, Share(1, 2)),
        FolderLock(folder, Share(3, 3)) as lock,
        pytest.raises(ExtractionError, match=text),
        lock.planning(),
    ):
        pass
    # What a killed job has left behind keeps nobody out.
    folder.mkdir()
    (folder / "lock.1-of-2").touch()
    with FolderLock(folder, Share(3, 3)) as lock, lock.planning():
        assert not (folder / "lock.1-of-2").exists()


def test_planning_waits_for_the_others(folder):
    order = []

    def plan():
        with FolderLock(folder, Share(2, 2)) as lock, lock.planning():
            order.append("second")

    with FolderLock(folder, Share(1, 2)) as lock:
        with lock.planning():
            thread = threading.Thread(target=plan)
            thread.start()
            thread.join(0.2)
            order.append("first")
        thread.join()
    assert order == ["first", "second"]


def test_the_last_one_tidies_up(folder):
    with FolderLock(folder, Share(1, 2)):
        with FolderLock(folder, Share(2, 2)):
            pass
        assert folder.exists()
    assert not folder.exists()
    with FolderLock(folder, EVERYTHING):
        (folder / "staged.parquet").touch()
    assert [path.name for path in folder.iterdir()] == ["staged.parquet"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nothing can be made: /proc")
@pytest.mark.timeout(20)
def test_a_folder_that_cannot_be_made_is_an_error():
    with pytest.raises(FileNotFoundError), FolderLock(Path("/proc/none/set"), Share(1, 1)):
        pass


def test_a_lock_that_is_removed_while_one_waits_is_taken_anew(folder):
    found = []

    def plan():
        with FolderLock(folder, Share(2, 2)) as lock, lock.planning():
            found.append((folder / "lock.plan").exists())

    with FolderLock(folder, Share(1, 2)) as lock:
        with lock.planning():
            thread = threading.Thread(target=plan)
            thread.start()
            thread.join(0.2)
            (folder / "lock.plan").unlink()
        thread.join()
    assert found == [True]
