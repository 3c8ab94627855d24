"""How much of the disk clients' volumes may take in all."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import NoRoomError


class Quota:
    """The room for what clients send to stay: images, sessions, and labels that are files.

    What is there counts whoever wrote it; what is being written counts within this process.

    Args:
        folders: where it is kept.
        most: bytes that it may take.
        clear: removes what nobody needs any more, before it is counted.
    """

    def __init__(self, folders: Sequence[Path], most: int, clear: Callable[[], None]) -> None:
        self.folders, self.most = folders, most
        self._clear, self._lock, self._coming = clear, threading.Lock(), 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Keep room for the bytes that the body adds, so that several at once do not share the same.

        They may be fewer than 0, where a smaller file replaces another.

        Raises:
            NoRoomError: with it, the clients' volumes would take more than they may.
        """
        size = max(size, 0)
        with self._lock:
            used = self._used() + self._coming
            if size and used + size > self.most:
                raise NoRoomError(
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
        """Bytes of the files that are there; those that are being written have hidden names."""
        self._clear()
        walks = (walk for folder in self.folders for walk in os.walk(folder))  # which follows no links
        return sum(file_size(Path(place, name)) for place, _, names in walks for name in names if name[0] != ".")


def file_size(path: Path) -> int:
    """Bytes of a file; 0 where it is gone."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
