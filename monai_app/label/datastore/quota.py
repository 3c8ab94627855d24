"""The disk quota of clients' volumes."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import InsufficientSpaceError


class Quota:
    """The disk quota of files that clients send: images, sessions and label files.

    Existing files count whoever wrote them; files being written count within this process.

    Args:
        folders: folders of the files.
        most: maximum bytes.
        clear: removes expired files before counting.
    """

    def __init__(self, folders: Sequence[Path], most: int, clear: Callable[[], None]) -> None:
        self.folders, self.most = folders, most
        self._clear, self._lock, self._coming = clear, threading.Lock(), 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Reserve the bytes that the body adds, so that concurrent requests do not use the same space.

        They may be negative if a smaller file replaces a larger one.

        Raises:
            InsufficientSpaceError: the clients' volumes would exceed the quota.
        """
        size = max(size, 0)
        with self._lock:
            used = self._used() + self._coming
            if size and used + size > self.most:
                raise InsufficientSpaceError(
                    f"the file takes {size} bytes, and files from clients take {used} of the {self.most} allowed: "
                    "remove images, labels or sessions (DELETE), or start the server with a larger --max-stored"
                )
            self._coming += size
        try:
            yield
        finally:
            with self._lock:
                self._coming -= size

    def _used(self) -> int:
        """Return the bytes of existing files; files being written have hidden names."""
        self._clear()
        walks = (walk for folder in self.folders for walk in os.walk(folder))  # does not follow links
        return sum(file_size(Path(place, name)) for place, _, names in walks for name in names if name[0] != ".")


def file_size(path: Path) -> int:
    """Return the bytes of a file; 0 if it no longer exists."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
