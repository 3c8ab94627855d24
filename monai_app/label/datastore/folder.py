"""The server's folder: it is ours alone, which a file in it says, and one server's at a time."""

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
"""File that says whose folder this is: servers empty and replace what is in it."""

_OF_STACK = {"cases", "labels", "models", "records.json", "scores"}
"""What is of one stack."""

_EARLIER = {*_OF_STACK, "logs", "sessions", "temporary", "uploads"}
"""What servers before the marker kept in their folder."""


@contextmanager
def own_folder(workspace: Workspace, stack: Stack) -> Iterator[None]:
    """Make the server's folder, and keep other servers off it while the body runs.

    Args:
        workspace: the folder, its links followed: two servers must mean the same folder by the same name.
        stack: the stack.

    Raises:
        ConfigError: the folder lies in the stack, holds what is not the server's or belongs to another stack,
            or cannot be written.
        BusyError: another server works in it.
    """
    folder = workspace.folder
    check_outside_stores(folder)
    with ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            busy = f"another server works in {folder}; stop it, or give another folder (--studies)"
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
    """Refuse a folder in which a person may have something, or which is of another stack."""
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}  # systems put those anywhere
    if names and MARKER not in names and not (names <= _EARLIER and (folder / "logs" / "server.log").is_file()):
        raise ConfigError(
            f"{folder} holds {min(names)!r} and no {MARKER}, so no server made it, and a server would remove files in "
            "it; give a folder that is empty or not there yet (--studies)"
        )
    found = read_json(folder / MARKER, ()) if MARKER in names else {}
    if names & _OF_STACK and found.get("ingested") not in (None, stack.ingested):
        raise ConfigError(
            f"{folder} is the folder of another stack than {stack.path}, perhaps of what was ingested there before; "
            "give another folder (--studies), and to continue with a model that was trained there "
            f"--bundle {folder / 'models'}/MODEL/RUN"
        )
