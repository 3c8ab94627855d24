"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import TargetExistsError
from monai_app.stack.files import clear_leftovers, lock, lock_path, partial_path, publish, remove_tree


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it becomes ``path``, otherwise it is removed.

    A kill at any moment leaves either the old file or the new one, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last because writers choose the format by it; a killed run's left-over is overwritten.
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``target``; on success it becomes ``target``, otherwise it is removed.

    Raises:
        TargetExistsError: the target exists and ``overwrite`` is false, or another process is making it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with lock(lock_path(target)):
            clear_leftovers(target)
            if target.exists() and not overwrite:
                raise TargetExistsError(f"{target} exists; choose another one, or --overwrite to replace it")
            partial = partial_path(target)
            partial.mkdir()
            try:
                yield partial
            except BaseException:
                remove_tree(partial)
                raise
            publish(target)
    except BlockingIOError:
        raise TargetExistsError(f"{target} is being made by another process; wait for it or choose another") from None
