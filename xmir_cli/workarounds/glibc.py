"""glibc's allocator."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # numbers from malloc.h


def keep_freed_memory() -> None:
    """Let malloc reuse freed blocks; it does nothing on other systems than Linux with glibc.

    Why: by default glibc gives large blocks back to the system, and every batch then waits for
    fresh pages: up to half of its time. Arenas of threads give their pages back all the same, so
    one arena serves all threads. Environment variables come too late for a running process.
    Seen with: glibc 2.36.
    Fails without: tests/workarounds/test_glibc.py
    test_large_blocks_are_reused_without_fresh_pages
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_THRESHOLD, 1 << 30)
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
