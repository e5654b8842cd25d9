import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from pcan_pose.engine.freed_memory import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
size = 20 * 2**20
def steps(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        blocks = [libc.malloc(size) for _ in range(4)]
        for block in blocks:
            libc.memset(block, 1, size)
        for block in blocks:
            libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(sys.argv[1] == "keep" and keep_freed_memory())
steps(2)
print(steps(10))
"""


def run(argument: str, **environment: str) -> tuple[str, int]:
    clean = {key: value for key, value in os.environ.items() if key != "GLIBC_TUNABLES" and "MALLOC" not in key}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=clean | environment,
    )
    kept, count = result.stdout.split()
    return kept, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunes glibc's allocator alone")
def test_steps_take_no_new_pages_once_memory_is_kept() -> None:
    kept, few = run("keep")
    _, many = run("leave")
    assert kept == "True"
    assert many > 1_000  # 80 MB a step, in pages of 4 kB or fewer of 2 MB
    assert few < many / 50


def test_an_allocator_that_the_user_tunes_is_left_alone() -> None:
    assert run("keep", MALLOC_ARENA_MAX="2")[0] == "False"
    assert run("keep", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[0] == "False"
