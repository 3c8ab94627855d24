"""What a disk or file system refuses, told in one line: the file, the reason and what to do about it."""

import errno
import os
import re
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import AppError, StorageError, causes

_AGAIN = "and run the same command again"
_DISK = {
    errno.ENOSPC: f"make room on that disk, {_AGAIN}",
    errno.EDQUOT: f"make room within your quota, {_AGAIN}",
    errno.EFBIG: "choose a place on a file system that takes files of that size",
    errno.EROFS: "choose a place that can be written, or copy what is there to one",
}
_REMEDIES = {
    **_DISK,
    errno.EACCES: "ask its owner for the permission, or choose another place",
    errno.EPERM: "ask its owner for the permission, or choose a place on another file system",
    errno.EIO: "the disk or the network drive fails; copy what is on it, or choose another place",
    errno.ENOLCK: "it cannot keep two processes off one target; choose a place on another file system",
    errno.ENOSYS: "the file system lacks what is needed: choose a place on another one",
    errno.ENOTSUP: "the file system lacks what is needed: choose a place on another one",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: f"allow more open files (ulimit -n 4096), {_AGAIN}",
    errno.EEXIST: "something has that name; choose another one",
    errno.ENOTDIR: "a folder of that path is a file; choose another place",
    errno.EISDIR: "it is a folder; choose another name",
    errno.ENOENT: "correct the path",
}
_BEHIND = _REMEDIES.keys() - {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
"""Told also where another error was raised because of them; the others may be nothing but a step of a search."""


def storage_error(error: OSError, path: Path | str | None = None) -> StorageError:
    """Return an error of the system as one that names the file, the reason and the remedy.

    Args:
        error: the system's.
        path: the file that was meant, where the system knows it by another name or by none.
    """
    error = _plain(error)
    place = path or error.filename
    named = f"{os.fsdecode(place)}: " if isinstance(place, str | bytes | os.PathLike) else ""
    reason = (error.strerror or str(error)).rstrip(".")
    told = StorageError(f"{named}{reason}; {_REMEDIES.get(error.errno or 0, 'correct that')}")
    told.errno, told.strerror = error.errno, reason
    return told


def refused(error: BaseException | None) -> StorageError | None:
    """Find what the disk refused in a chain of causes: torch and MONAI raise errors of their own."""
    cause = _cause(error, _BEHIND)
    return None if cause is None else storage_error(cause)


def _cause(error: BaseException | None, codes: Container[int]) -> OSError | None:
    found = (_plain(each) for each in causes(error) if isinstance(each, OSError))
    return next((each for each in found if each.errno in codes), None)


def _plain(error: OSError) -> OSError:
    """Return the first error of those that copying a folder collects; the system's own as it is."""
    if not isinstance(error, shutil.Error) or not isinstance(error.args[0], list):
        return error
    _, target, text = error.args[0][0]
    code = re.match(r"\[Errno (\d+)\]", str(text))
    return OSError(int(code[1]), os.strerror(int(code[1])), str(target)) if code else error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file that is meant where the disk is full or read-only, whatever it is written through.

    Raises:
        StorageError: the disk is full or read-only.
    """
    try:
        yield
    except AppError:
        raise
    except Exception as error:
        cause = _cause(error, _DISK)
        if cause is None:
            raise
        raise storage_error(cause, path) from error


def check_writable(folder: Path, remedy: str) -> None:
    """Refuse a folder that cannot be written, before the work whose result goes there.

    Args:
        folder: it, or its first parent that exists, is looked at.
        remedy: what to do instead.

    Raises:
        StorageError: it cannot be written, or is a file.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise storage_error(NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there)))
    if not os.access(there, os.W_OK | os.X_OK):
        read_only = os.statvfs(there).f_flag & os.ST_RDONLY
        raise StorageError(f"{there}: {'Read-only file system' if read_only else 'Permission denied'}; {remedy}")
