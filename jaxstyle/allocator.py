"""The memory of the machine: how much is free, and that what is freed stays with the process.

The latter is worth a seventh of every step on Linux CPUs. XLA allocates a program's buffers afresh on each call; glibc
hands blocks of that size back to the kernel when they are freed, which then fills them with zeros, page by page, at the
next call.
"""

import ctypes
import functools
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # from glibc's malloc.h


@functools.cache
def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory for the next call; True where it was told.

    Does nothing on other systems, or when the environment has JAXSTYLE_MALLOC=system. The process's size stays at its
    peak. Blocks from the heap of the main arena can be of any size, hence one arena and no mapped blocks.
    """
    if not sys.platform.startswith("linux") or os.environ.get("JAXSTYLE_MALLOC") == "system":
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_ARENA_MAX, 1))
    return all(set_option(option, value) == 1 for option, value in options)


def release_freed_memory() -> None:
    """Hands back to the system what `keep_freed_memory` has kept: between two programs of different sizes."""
    if keep_freed_memory():
        ctypes.CDLL(None).malloc_trim(0)


def available_memory() -> int | None:
    """Bytes of main memory that a program can still have; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
