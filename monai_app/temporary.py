"""Temporary folders that a killed process does not leave for ever: the next one of the same kind removes them."""

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
    """Give a folder that lasts as long as the body, and remove what killed processes left of the same kind.

    It is locked while it is used; the operating system frees the lock when the process dies.

    Args:
        kind: what it is for, a part of its name.
    """
    # A disk that machines share may have locks that only one of them sees.
    prefix = f"monai-app-{kind}-{platform.node()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), _locked(left):  # it may be in use, another user's or gone
            shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as stack:
        folder = None
        while folder is None:
            folder = _made(prefix, stack)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Let temporary files of libraries lie in a folder, those of processes that are started meanwhile too."""
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
    """Give such a folder that lasts as long as this process."""
    return _OF_PROCESS.enter_context(temporary_folder(kind))


_OF_PROCESS = ExitStack()
atexit.register(_OF_PROCESS.close)


def _made(prefix: str, stack: ExitStack) -> Path | None:
    """Make a folder, locked until the stack is left; None where another process took it for unused before."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        stack.enter_context(_locked(folder))
    except (FileNotFoundError, BlockingIOError):
        return None
    except OSError:
        return folder  # there are no locks, so nobody removes what is not theirs
    return folder if folder.exists() else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, or raise BlockingIOError where a process has locked it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
