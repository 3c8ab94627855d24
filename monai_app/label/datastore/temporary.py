"""Temporary files of requests in the server's folder, and names of files in error messages."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import AppError
from monai_app.files import link_or_copy
from monai_app.label.datastore.volumes import suffix_of
from monai_app.label.settings import Workspace


def new_path(workspace: Workspace, suffix: str) -> Path:
    """Return a new unique path."""
    workspace.temporary.mkdir(parents=True, exist_ok=True)
    return workspace.temporary / f"{uuid.uuid4().hex}{suffix}"


def hold(workspace: Workspace, path: Path | str | None, missing: AppError) -> Path:
    """Link a volume under a new name, which the caller removes, so that it survives replacement or removal.

    Args:
        workspace: the server's folder.
        path: the volume; None or empty if there is none.
        missing: raised if it does not or no longer exist.
    """
    if not path:
        raise missing
    target = new_path(workspace, suffix_of(Path(path).name))
    try:
        link_or_copy(path, target)
    except FileNotFoundError:
        raise missing from None
    return target


@contextmanager
def held(workspace: Workspace, path: Path | str | None, missing: AppError) -> Iterator[Path]:
    """Hold a volume with `hold` while the body runs."""
    target = hold(workspace, path, missing)
    try:
        yield target
    finally:
        target.unlink(missing_ok=True)


@contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Replace the server's path of a file by the client's name in errors of the body."""
    try:
        yield
    except AppError as error:
        raise type(error)(str(error).replace(str(path), name)) from error.__cause__
