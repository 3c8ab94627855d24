"""Files in the server's folder that last as long as a request, and what files are called in errors."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_app.errors import AppError
from monai_app.files import link_or_copy
from monai_app.label.datastore.volumes import suffix_of
from monai_app.label.settings import Workspace


def new_path(workspace: Workspace, suffix: str) -> Path:
    """Return a path at which nothing is and nobody else makes anything."""
    workspace.temporary.mkdir(parents=True, exist_ok=True)
    return workspace.temporary / f"{uuid.uuid4().hex}{suffix}"


def hold(workspace: Workspace, path: Path | str | None, missing: AppError) -> Path:
    """Give a volume a name of its own, for the caller to remove: whoever replaces or removes it, it stays as it is now.

    Args:
        workspace: the server's folder.
        path: the volume; None, or empty, where it is known that there is none.
        missing: raised where it does not exist (any more).
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
    """Hold a volume, as `hold` does, while the body runs."""
    target = hold(workspace, path, missing)
    try:
        yield target
    finally:
        target.unlink(missing_ok=True)


@contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Call a file in errors of the body what the client calls it: where the server keeps it tells nobody anything."""
    try:
        yield
    except AppError as error:
        raise type(error)(str(error).replace(str(path), name)) from error.__cause__
