"""How much memory a process may still take, where limits are set around it."""

from pathlib import Path

import pytest

from pcan_pose.data import memory
from pcan_pose.errors import DataError


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 100 kB free, and a process in a group whose parent has a limit."""
    (tmp_path / "meminfo").write_text("MemTotal: 200 kB\nMemAvailable:  100 kB\n")
    (tmp_path / "cgroup").write_text("0::/job/step\n")
    groups = tmp_path / "groups"
    for name, limit in (("job", "65536"), ("job/step", "max")):
        (groups / name).mkdir(parents=True)
        (groups / name / "memory.max").write_text(f"{limit}\n")
        (groups / name / "memory.current").write_text("40960\n")
        (groups / name / "memory.stat").write_text(
            "anon 1\ninactive_file 4096\nactive_file 3000\nslab_reclaimable 1096\n"
        )
    for name, path in (("_MEMINFO", "meminfo"), ("_GROUP_OF_PROCESS", "cgroup"), ("_GROUPS", "groups")):
        monkeypatch.setattr(memory, name, tmp_path / path)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    return tmp_path


def test_the_narrowest_limit_counts(system: Path) -> None:
    assert memory.available_bytes() == 65536 - 40960 + 8192
    (system / "groups/job/step/memory.max").write_text("41000\n")
    assert memory.available_bytes() == 41000 - 40960 + 8192
    (system / "groups/job/step/memory.max").write_text("30000\n")
    assert memory.available_bytes() == 0


def test_without_limits_the_machine_counts(system: Path) -> None:
    (system / "groups/job/memory.max").write_text("max\n")
    assert memory.available_bytes() == 102400
    (system / "cgroup").unlink()
    assert memory.available_bytes() == 102400
    (system / "meminfo").unlink()
    assert memory.available_bytes() is None


def test_each_process_of_a_machine_reads_the_set(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.check_room(Path("set"), 20_000)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(DataError, match=r"set: the clips take 0\.0 GB in each of 2 processes, 0\.0 GB are free"):
        memory.check_room(Path("set"), 20_000)
    memory.check_room(Path("set"), 10_000)
