"""The server's folder: a marker file identifies it, and a lock reserves it for one server."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from monai_app.bundle.configs.settings import read_json
from monai_app.errors import ConfigError
from monai_app.files import clear_locks, lock, lock_path, write_json
from monai_app.label.settings import Workspace
from monai_app.stack import Stack
from monai_app.stack.ngff.layout import LABELS
from monai_app.stack.places import check_outside_stores
from monai_app.storage import storage_error

MARKER = "monai-app-serve.json"
"""Marker file of a server's folder, whose content servers replace."""

_OF_STACK = {"cases", "labels", "models", "records.json", "scores"}
"""The content that belongs to one stack."""

_EARLIER = {*_OF_STACK, "logs", "sessions", "temporary", "uploads"}
"""The content of folders that servers created before the marker was introduced."""


@contextmanager
def own_folder(workspace: Workspace, stack: Stack) -> Iterator[None]:
    """Create the server's folder, and lock it against other servers while the body runs.

    Args:
        workspace: the folder with links resolved, so that the same folder has the same lock.
        stack: the stack.

    Raises:
        ConfigError: the folder is inside the stack, contains other files, belongs to another stack, or cannot be
        written.
        BusyError: another server uses it.
    """
    folder = workspace.folder
    check_outside_stores(folder)
    with ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            busy = f"another server uses {folder}; stop it, or give another folder (--studies)"
            held.enter_context(lock(lock_path(folder), busy))
            if folder.exists():
                _check_ours(folder, stack)
            folder.mkdir(exist_ok=True)
            content = {"program": "monai-app serve", "stack": str(stack.path), "ingested": stack.ingested}
            write_json(folder / MARKER, content)
            for left in (workspace.temporary, workspace.sessions):  # of a server that was killed
                shutil.rmtree(left, ignore_errors=True)
            clear_locks([*folder.rglob(".*.lock"), *(stack.path / LABELS).glob(".*.lock")])
        except OSError as error:
            raise ConfigError(f"{storage_error(error, folder)} (--studies)") from None
        yield


def _check_ours(folder: Path, stack: Stack) -> None:
    """Refuse a folder with files of the user, or of another stack."""
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}  # created by operating systems
    if names and MARKER not in names and not (names <= _EARLIER and (folder / "logs" / "server.log").is_file()):
        raise ConfigError(
            f"{folder} holds {min(names)!r} but no {MARKER}, so it is not a server's folder, and a server would "
            "remove files in it; give an empty or new folder (--studies)"
        )
    found = read_json(folder / MARKER, ()) if MARKER in names else {}
    if names & _OF_STACK and found.get("ingested") not in (None, stack.ingested):
        raise ConfigError(
            f"{folder} belongs to a stack other than {stack.path}, perhaps one ingested there earlier; "
            "give another folder (--studies), and to continue with a model that was trained there "
            f"--bundle {folder / 'models'}/MODEL/RUN"
        )
