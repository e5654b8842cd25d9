"""What the C library does with memory that a network's steps give back, on a CPU."""

import ctypes
import os
import platform

# The parameters of mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have freed memory kept for the next step of training or testing, instead of given back to the system.

    glibc takes each large tensor from the system and gives it back when it is freed, and the system zeroes its pages
    each time: a quarter to 40 % of the time of a training step. Kept, the memory is the next tensor's; the peak stays
    the same. It holds for the whole process. Elsewhere than on glibc nothing happens, nor where the environment tunes
    the allocator already (GLIBC_TUNABLES or a MALLOC_ variable).

    Returns:
        Whether memory is kept now.
    """
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(
        name.startswith("MALLOC_") for name in os.environ
    )
    if tuned or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, _LARGEST_INT))
