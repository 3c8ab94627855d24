"""Handling of freed memory by the C library."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more


def keep_freed_memory() -> bool:
    """Keep freed blocks of up to 32 MiB in the process instead of giving them back to the system.

    A training step on a CPU frees all it has computed, and the next one asks for as much again. glibc hands what it can
    back, so each step has the system find and clear most of its pages again. The process then stays at its peak size.

    Returns:
        Whether glibc took the settings; False where the C library is another.
    """
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_MMAP_THRESHOLD: _LARGEST_MMAP_THRESHOLD, _TRIM_THRESHOLD: -1}
    return all(mallopt(name, value) == 1 for name, value in settings.items())


def give_back_freed_memory() -> bool:
    """Give all freed memory back to the system, once: before work of another pattern begins.

    Returns:
        Whether there was any; False where the C library is not glibc.
    """
    return _is_glibc() and ctypes.CDLL(None).malloc_trim(0) == 1


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
