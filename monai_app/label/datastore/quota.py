"""How much of the disk clients' volumes may take in all."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import NoRoomError
from monai_app.label.datastore.sessions import Sessions


class Room:
    """The room for what clients send to stay: images, sessions, and labels that are files.

    What is there counts whoever wrote it. What is being written counts only within this process: labels that a batch
    saves in another one at the same moment are noticed when they are there, so both together may take more by what was
    on its way.

    Args:
        folders: where it is kept.
        most: bytes that it may take.
        sessions: those that nobody uses any more are forgotten first.
    """

    def __init__(self, folders: Sequence[Path], most: int, sessions: Sessions) -> None:
        self.folders, self.most = folders, most
        self._sessions = sessions
        self._lock, self._coming = threading.Lock(), 0

    def check(self, size: int) -> None:
        """Refuse a file for which there is no room now, before it is copied; `taken` decides.

        Args:
            size: bytes.

        Raises:
            NoRoomError: with it, the clients' volumes would take more than they may.
        """
        used = self._used() + self._coming
        if size > 0 and used + size > self.most:
            raise NoRoomError(
                f"the file takes {size} bytes, and what clients sent takes {used} of the {self.most} that it may: "
                "remove images, labels or sessions (DELETE), or start the server with a larger --max-stored"
            )

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Keep room for a file while the body writes it, so that several at once do not share the same.

        Args:
            size: bytes that are added; fewer than 0 where a smaller file replaces another.

        Raises:
            NoRoomError: there is no room.
        """
        size = max(size, 0)
        with self._lock:
            self.check(size)
            self._coming += size
        try:
            yield
        finally:
            with self._lock:
                self._coming -= size

    def _used(self) -> int:
        """Bytes of the files that are there; those that are being written have hidden names."""
        self._sessions.forget_unused()
        files = (
            Path(place, name)
            for folder in self.folders
            for place, _, names in os.walk(folder)  # which follows no links
            for name in names
            if not name.startswith(".")
        )
        return sum(map(file_size, files))


def file_size(path: Path) -> int:
    """Bytes of a file; 0 where it is gone."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
