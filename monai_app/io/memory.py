"""What memory a damaged header may cost."""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from monai_app.errors import StackError

DENSEST = 1032
"""Bytes that deflate unpacks from one byte at the most."""

_DENSEST_OF_ALL = 1 << 15
"""The same for zstd, which writes a block of 128 kB of one value in 4 bytes."""

_SMALL = 1 << 28
"""Bytes of a plane that is read whatever the size of its file: sparse arrays hold nothing for what is blank."""

_HEADERS = 1 << 29
"""Bytes that a library may take to parse the headers of a file."""

_LIMITING = threading.Lock()
"""Two threads would each restore what the other one set."""


def check_backed(plane: int, files: Iterable[Path]) -> None:
    """Check that a file may hold what its header announces, before memory is taken for it.

    Args:
        plane: bytes of a plane, or of a chunk, when it is unpacked.
        files: all that is stored; looked at where planes are large.

    Raises:
        StackError: large planes for which almost nothing is stored.
    """
    if plane > _SMALL and plane > _DENSEST_OF_ALL * (held := sum(file.stat().st_size for file in files)):
        raise StackError(
            f"it declares {plane} bytes per plane and has {held} for all of them: it is damaged; save or copy it again"
        )


@contextmanager
def limited_memory() -> Iterator[None]:
    """Give the process no more than 512 MB of memory while the body parses headers.

    HDF5 takes the memory that the length of a text in the file asks for before it looks whether there is such a text.
    The limit holds for all threads, and on Linux alone. It is for commands, not for servers: a child process that is
    started meanwhile keeps it.

    Raises:
        StackError: the body needs more; HDF5 raises an OSError instead.
    """
    if sys.platform != "linux":
        yield
        return
    process = psutil.Process()
    with _LIMITING:
        before = process.rlimit(psutil.RLIMIT_DATA)
        wanted = process.memory_info().data + _HEADERS
        limits = [limit for limit in (wanted, *before) if limit != psutil.RLIM_INFINITY]
        process.rlimit(psutil.RLIMIT_DATA, (min(limits), before[1]))
        try:
            yield
        except MemoryError:
            raise StackError(
                "its headers ask for more than 512 MB of memory: it is damaged; save or copy it again"
            ) from None
        finally:
            process.rlimit(psutil.RLIMIT_DATA, before)
