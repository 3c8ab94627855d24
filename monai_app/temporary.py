"""Temporary folders; those of killed processes are removed by the next process of the same kind."""

import atexit
import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_folder(kind: str) -> Iterator[Path]:
    """Yield a folder that is removed after the body, and remove those of killed processes of the same kind.

    It is locked while in use; the operating system releases the lock if the process dies.

    Args:
        kind: its purpose, which is part of its name.
    """
    # Locks on a shared disk may be visible on one machine only.
    prefix = f"monai-app-{kind}-{platform.node()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), _locked(left):  # it may be in use, belong to another user, or be gone
            shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as stack:
        folder = None
        while folder is None:
            folder = _made(prefix, stack)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Redirect temporary files of libraries, including those of child processes, to a folder."""
    default, environment = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = default
        if environment is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = environment


def process_folder(kind: str) -> Path:
    """Return such a folder that is removed when this process ends."""
    return _OF_PROCESS.enter_context(temporary_folder(kind))


_OF_PROCESS = ExitStack()
atexit.register(_OF_PROCESS.close)


def _made(prefix: str, stack: ExitStack) -> Path | None:
    """Create a folder, locked until the exit stack closes; None if another process removed it as unused."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        stack.enter_context(_locked(folder))
    except (FileNotFoundError, BlockingIOError):
        return None
    except OSError:
        return folder  # without locks, no process removes folders of others
    return folder if folder.exists() else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, or raise BlockingIOError if it is locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
