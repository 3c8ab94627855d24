"""Start the server: prepare its folder, listen, print how to connect, and shut down cleanly."""

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvicorn

from monai_app.errors import ConfigError
from monai_app.label.app import StackApp
from monai_app.label.http.security import Access
from monai_app.label.http.server import create_api
from monai_app.label.jobs.segmentation import read_device
from monai_app.label.settings import Settings, Workspace
from monai_app.names import EscapingFormatter
from monai_app.progress import Progress, silent

Say = Callable[[str], None]

LARGEST_LOG = 8 * 2**20
"""Maximum bytes of the log; three older ones are kept."""

LAST = 5.0
"""Seconds for threads to end after shutdown: they cannot be interrupted, and Python would wait for them."""


def export_cases(settings: Settings, workspace: Workspace, progress: Progress = silent) -> int:
    """Write the files of all cases for a stock MONAI Label app; return their number."""
    cases = StackApp(settings, workspace).store.cases
    progress(0, len(cases.by_id))
    for done, case in enumerate(cases, 1):
        cases.image(case)
        progress(done, len(cases.by_id))
    return len(cases.by_id)


def serve_stack(settings: Settings, workspace: Workspace, access: Access, port: int, say: Say) -> None:
    """Serve on a port (0: a free one) until the process is interrupted or terminated.

    Raises:
        AppError: the address cannot be bound, or the stack or a bundle cannot be served.
    """
    if settings.device is not None:
        read_device(settings.device)
    app = StackApp(settings, workspace)
    for model in app.models.values():
        model.check(app.store.stack)
    with bound_socket(access.host, port) as bound:
        for line in _welcome(app, access, bound.getsockname()[1]):
            say(line)
        config = uvicorn.Config(
            create_api(app, access),
            log_config=None,
            access_log=False,
            limit_concurrency=256,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=1,
            lifespan="on",
        )
        _run(uvicorn.Server(config), bound, workspace.temporary)
    say("the server has stopped")


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a bound socket; ConfigError if the host is not this machine's, or the port is not free."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(
            f"{host}:{port} cannot be bound ({error}); give a name or address of this machine (--host), such as "
            "127.0.0.1, and a free --port"
        ) from None


def _run(server: uvicorn.Server, bound: socket.socket, temporary: Path) -> None:
    """Run until SIGINT or SIGTERM, which uvicorn raises again after shutdown."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    # Request bodies are buffered on the disk that the user chose for the server.
    temporary.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(temporary)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[bound])
    signal.signal(signal.SIGTERM, before)
    last = threading.Timer(LAST, os._exit, (0,))
    last.daemon = True
    last.start()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Write the log to the server's file while the body runs, and show warnings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown, root = logging.StreamHandler(sys.stderr), logging.getLogger()
    shown.setLevel(logging.WARNING)
    file = RotatingFileHandler(path, maxBytes=LARGEST_LOG, backupCount=3, encoding="utf8")
    # If the disk is full, do not flood the terminal; responses report it.
    level, before, logging.raiseExceptions = root.level, root.handlers[:], False
    for handler in (file, shown):
        handler.setFormatter(EscapingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, shown], force=True)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = before
        file.close()


def _welcome(app: StackApp, access: Access, port: int) -> list[str]:
    address = f"http://[{access.host}]:{port}" if ":" in access.host else f"http://{access.host}:{port}"
    models = [f"{model.name} ({model.run_name or 'not trained yet'})" for model in app.models.values()]
    login = ["            log in with any user name; the password is the server's token"] if access.token else []
    return [
        f"serving    {app.store.name()}: {app.store.description()}",
        f"models     {', '.join(models)}",
        f"address    {address}",
        f"3D Slicer  install the extension MONAILabel, open the module MONAI Label, enter {address},",
        "            click the round arrow, then Next Sample; label, Submit Label, Train",
        *login,
        f"folder     {app.workspace.folder} (cases, models, log)",
        "Ctrl-C stops the server",
    ]
