"""How the process handles memory that a training step frees."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more


def keep_freed_memory() -> bool:
    """Keep freed memory in the process instead of giving it back to the system.

    A training step on a CPU frees all it has computed, and the next one asks for as much again. glibc hands large
    blocks back, so each step has the system find and clear gigabytes of pages anew. The process then stays at its peak
    size, which a training is at in every step anyway.

    Returns:
        Whether the C library does as told; one that is not glibc does not know how.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = {_MMAP_THRESHOLD: _LARGEST_MMAP_THRESHOLD, _TRIM_THRESHOLD: -1}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
