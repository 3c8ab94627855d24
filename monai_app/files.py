"""Atomic files and directories, and locks that protect a target from concurrent processes."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from monai_app.errors import BusyError, StorageError, TargetExistsError
from monai_app.storage import storage_error, writing

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_FLUSHES = 8
"""Number of files flushed concurrently."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
_NO_SWAP = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)
_NO_FOLDER_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, errno.EPERM, errno.EACCES)
"""Errors of file systems that do not support the operation: network drives, exFAT and others."""

_POLL = 0.01
"""Seconds between two attempts to take a lock."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; on success it becomes ``path``, otherwise it is removed.

    A kill at any moment leaves either the old file or the new one. Concurrent writers of the same file wait.

    Raises:
        StorageError: the disk is full or read-only.
    """
    temporary = _partial_file(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with lock(_file_lock_path(path)), writing(path):
        temporary.unlink(missing_ok=True)  # left by a killed run; if it is a link, its target must not be written
        try:
            yield temporary
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def is_not(path: Path, kind: str) -> str:
    """Say that a path is not of a kind, such as ``"a run folder"``, or that it does not exist."""
    return f"{path} is not {kind}" if path.exists() else f"{path} does not exist"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")


@contextmanager
def atomic_directory(target: Path, marker: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder next to ``target``; on success it becomes ``target``, otherwise it is removed.

    Args:
        target: the folder to create.
        marker: name of a file that the body writes to the folder. An existing folder is replaced only if it contains
        such a file, so that a typing error cannot replace another folder.
        overwrite: replace an existing folder, once the new one is complete.

    Raises:
        TargetExistsError: the target exists and may not be replaced.
        BusyError: another process is writing it.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100  # links stay links; "." and ".." have no name
    target.parent.mkdir(parents=True, exist_ok=True)
    busy = f"{target} is being written by another process; wait for it or choose another one"
    with transaction(target, busy, lambda: check_directory_target(target, marker, overwrite=overwrite)) as partial:
        partial.mkdir()
        yield partial


@contextmanager
def transaction(
    target: Path, busy: str | None, check: Callable[[], None], published: Callable[[], None] | None = None
) -> Iterator[Path]:
    """Create a directory under a hidden name, which the body fills and which becomes ``target`` on success.

    Args:
        target: the directory, whose parent exists.
        busy: error message if another process is writing it; None waits instead.
        check: raises if the target must not be created; called with the lock held.
        published: called after the directory has its final name, with the lock held.

    Raises:
        BusyError: another process is writing it.
    """
    with lock(lock_path(target), busy):
        clear_leftovers(target)
        check()
        partial = partial_path(target)
        try:
            with writing(target):
                yield partial
        except BaseException:
            remove_tree(partial)
            raise
        commit(target)
        if published is not None:
            published()


@contextmanager
def work_folder(target: Path, busy: str) -> Iterator[Path]:
    """Yield a hidden working folder next to ``target``; it is removed after the body, or by the next call.

    Args:
        target: a file or directory in an existing directory.
        busy: error message if another process is writing it.

    Raises:
        BusyError: another process is writing it.
    """
    with lock(lock_path(target), busy):
        folder = partial_path(target)
        remove_tree(folder)  # left by a killed run
        try:
            folder.mkdir()
            yield folder
        finally:
            remove_tree(folder)


def check_directory_target(target: Path, marker: str, *, overwrite: bool) -> None:
    """Check the target of :func:`atomic_directory` before the work starts; an empty directory may be replaced.

    Raises:
        TargetExistsError: the target exists and may not be replaced.
    """
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() and not overwrite:
        clear_unused(target)
        raise TargetExistsError(f"{target} exists; choose another one, or --overwrite to replace it")
    if target.exists() and not (target / marker).is_file():
        raise TargetExistsError(f"{target} has no {marker}, so it is not replaced; choose another one")


def check_file_target(target: Path, *, overwrite: bool) -> None:
    """Check a target file before the work starts.

    Raises:
        TargetExistsError: the target exists and may not be replaced.
    """
    if target.exists() and (not overwrite or target.is_dir()):
        clear_unused(target)
        raise TargetExistsError(f"{target} exists; choose another name, or --overwrite to replace it")


@contextmanager
def lock(path: Path, busy: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock file while the body runs; the operating system releases it if the process dies.

    The file is removed at the end, with the lock held: waiting processes notice this and try again.

    Args:
        path: the lock file, in an existing directory.
        busy: error message if another process holds the lock; None waits instead.

    Raises:
        BusyError: another process (or another thread) holds the lock; the text is ``busy``.
        StorageError: the folder is not writable, or its file system has no locks.
    """
    held = FileLock(path, blocking=busy is None, poll_interval=_POLL, fallback_to_soft=False, thread_local=False)
    try:
        # A path that cannot be opened fails here with its own error; filelock would report it as locked.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666))
        held.acquire()
    except Timeout:
        raise BusyError(busy) from None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            path.unlink(missing_ok=True)
            error = OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))  # ENOSYS would not name the missing feature
        raise storage_error(error, path if error.errno == errno.ENAMETOOLONG else path.parent) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        held.release()


def partial_path(target: Path) -> Path:
    """The hidden sibling in which a directory is written: ``.<name>.partial``."""
    return target.with_name(f".{target.name}.partial")


def lock_path(target: Path) -> Path:
    """The hidden lock file for writing a directory: ``.<name>.lock``."""
    return target.with_name(f".{target.name}.lock")


def _partial_file(path: Path) -> Path:
    """The hidden sibling in which a file is written; the suffix stays last because writers choose the format by it."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def _file_lock_path(path: Path) -> Path:
    return path.with_name(f"{_partial_file(path).name}.lock")


def _old_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def clear_leftovers(target: Path) -> None:
    """Remove files of a killed run next to ``target``; call with the target's lock held.

    If the kill was between the two renames of a replacement, the old directory gets its name back.
    """
    rollback(target)
    remove_tree(partial_path(target))


def clear_unused(target: Path, clear: Callable[[Path], None] = clear_leftovers) -> None:
    """Remove files of a killed run next to a target that stays unchanged, unless a process is writing it.

    Args:
        target: the file or directory.
        clear: removes them, called with the target's lock held; unused lock files are always removed.
    """
    with suppress(BusyError, StorageError):
        if lock_path(target).exists() or partial_path(target).exists():
            with lock(lock_path(target), "it is being made"):
                clear(target)
        if _file_lock_path(target).exists():
            with lock(_file_lock_path(target), "it is being written"):
                _partial_file(target).unlink(missing_ok=True)


def clear_locks(paths: Iterable[Path]) -> None:
    """Remove lock files of killed processes; locks in use stay."""
    for path in paths:
        with suppress(BusyError, StorageError), lock(path, "it is held"):
            pass


def rollback(target: Path) -> None:
    """Undo a replacement that was killed between its two renames, and keep ``.<name>.partial``."""
    old = _old_path(target)
    if old.exists() and not target.exists():
        old.rename(target)
    remove_tree(old)


def remove_tree(path: Path) -> None:
    """Remove a directory tree if it exists."""
    if path.exists():
        shutil.rmtree(path)


def commit(target: Path) -> None:
    """Rename the finished ``.<name>.partial`` to its target, replacing an existing one; call with the lock held.

    Everything is flushed to disk first. A replacement swaps the two directories atomically if the file system supports
    it, so that a complete directory has the name at any moment.
    """
    partial = partial_path(target)
    flush_tree(partial)
    if not target.exists():
        partial.rename(target)
    elif _swap(partial, target):
        remove_tree(partial)
    else:
        old = _old_path(target)
        target.rename(old)
        partial.rename(target)
        remove_tree(old)
    flush(target.parent)


def _swap(first: Path, second: Path) -> bool:
    """Exchange two names atomically; False if the C library or the file system does not support it."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = (os.fsencode(first), os.fsencode(second))
    if renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_SWAP:
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Create a hard link to a file at a new path; copy the file if the file system has no links.

    Raises:
        FileNotFoundError: it does not exist.
    """
    try:
        os.link(source, target)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except BaseException:
            Path(target).unlink(missing_ok=True)
            raise


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def flush_tree(root: Path) -> None:
    """Flush every file and directory below ``root``, and ``root`` itself, to the disk."""
    folders = [(Path(folder), names) for folder, _, names in os.walk(root)]
    with ThreadPoolExecutor(_FLUSHES) as pool:  # a store has thousands of files, and flushing mostly waits
        list(pool.map(flush, (folder / name for folder, names in folders for name in names)))
        list(pool.map(flush, (folder for folder, _ in folders)))


def flush(path: Path) -> None:
    """Flush one file or directory to disk; a directory only if the file system supports it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH or not path.is_dir():
            raise storage_error(error, path) from None
