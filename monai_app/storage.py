"""Errors of disk and file system in one line: the file, the reason and the remedy."""

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
    errno.ENOSPC: f"free space on that disk, {_AGAIN}",
    errno.EDQUOT: f"free space within your quota, {_AGAIN}",
    errno.EFBIG: "choose a file system that supports files of that size",
    errno.EROFS: "choose a writable place, or copy the files to one",
}
_REMEDIES = {
    **_DISK,
    errno.EACCES: "ask the owner for permission, or choose another place",
    errno.EPERM: "ask the owner for permission, or choose another file system",
    errno.EIO: "the disk or network drive is failing; copy your files, or choose another place",
    errno.ENOLCK: "the file system has no locks; choose another one",
    errno.ENOSYS: "the file system does not support this operation; choose another one",
    errno.ENOTSUP: "the file system does not support this operation; choose another one",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: f"allow more open files (ulimit -n 4096), {_AGAIN}",
    errno.EEXIST: "the name exists already; choose another one",
    errno.ENOTDIR: "a part of the path is a file; choose another place",
    errno.EISDIR: "it is a folder; choose another name",
    errno.ENOENT: "correct the path",
}
_BEHIND = _REMEDIES.keys() - {errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
"""Reported even as the cause of another error; others may be part of a search for files."""


def storage_error(error: OSError, path: Path | str | None = None) -> StorageError:
    """Convert an OSError to an error that names the file, the reason and the remedy.

    Args:
        error: the error of the operating system.
        path: the file that was meant, if the system has another name for it or none.
    """
    error = _plain(error)
    place = path or error.filename
    named = f"{os.fsdecode(place)}: " if isinstance(place, str | bytes | os.PathLike) else ""
    reason = (error.strerror or str(error)).rstrip(".")
    described = StorageError(f"{named}{reason}; {_REMEDIES.get(error.errno or 0, 'correct that')}")
    described.errno, described.strerror = error.errno, reason
    return described


def refused(error: BaseException | None) -> StorageError | None:
    """Find a disk error in a chain of causes, because torch and MONAI wrap it in their own errors."""
    cause = _cause(error, _BEHIND)
    return None if cause is None else storage_error(cause)


def _cause(error: BaseException | None, codes: Container[int]) -> OSError | None:
    found = (_plain(each) for each in causes(error) if isinstance(each, OSError))
    return next((each for each in found if each.errno in codes), None)


def _plain(error: OSError) -> OSError:
    """Return the first of the errors collected by copying a folder; others are returned unchanged."""
    if not isinstance(error, shutil.Error) or not isinstance(error.args[0], list):
        return error
    _, target, text = error.args[0][0]
    code = re.match(r"\[Errno (\d+)\]", str(text))
    return OSError(int(code[1]), os.strerror(int(code[1])), str(target)) if code else error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the intended file if the disk is full or read-only, whatever library writes it.

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
    """Check that a folder is writable before the work whose result goes there.

    Args:
        folder: the folder; if it does not exist, its first existing parent is checked.
        remedy: the remedy in the message.

    Raises:
        StorageError: it cannot be written, or is a file.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise storage_error(NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there)))
    if not os.access(there, os.W_OK | os.X_OK):
        read_only = os.statvfs(there).f_flag & os.ST_RDONLY
        raise StorageError(f"{there}: {'Read-only file system' if read_only else 'Permission denied'}; {remedy}")
