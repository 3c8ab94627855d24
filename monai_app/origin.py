"""Files that are read once: the loaded content is the hashed one, and a later replacement is detected."""

import hashlib
import os
from pathlib import Path

from monai_app.errors import ConfigError
from monai_app.files import file_sha256

Stamp = tuple[int, int, int]
"""State of a file; a different one means that it was replaced or changed."""


class Origin:
    """A file as it was read.

    Args:
        path: the file.
        sha256: SHA-256 of the content that was read, in hexadecimal digits.
        stamp: its state when it was read; None if it was not recorded.
    """

    def __init__(self, path: Path, sha256: str, stamp: Stamp | None = None) -> None:
        self.path, self.sha256, self._stamp = path, sha256, stamp

    def check(self) -> None:
        """Check that the file is unchanged; it is hashed only if its date, size or inode changed.

        Raises:
            ConfigError: it was replaced or removed.
        """
        try:
            stamp = stamp_of(self.path.stat())
            if stamp == self._stamp:
                return
            same = file_sha256(self.path) == self.sha256
        except OSError:
            same = False
        if not same:
            raise ConfigError(
                f"{self.path} was replaced since it was read, so nothing more is written; run the same command again "
                "to use the new file, or restore the old one"
            )
        self._stamp = stamp


def read_once(path: Path) -> tuple[bytes, Origin]:
    """Read a file; return its bytes and its `Origin`.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        stamp = stamp_of(os.fstat(file.fileno()))
        content = file.read()
    return content, Origin(path, hashlib.sha256(content).hexdigest(), stamp)


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the state of a file: date, size and inode."""
    return status.st_mtime_ns, status.st_size, status.st_ino
