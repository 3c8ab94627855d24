"""Start the server: prepare its folder, listen, tell people how to connect, and end cleanly."""

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
from monai_app.label.http.guard import Access
from monai_app.label.http.server import create_api
from monai_app.label.jobs.segmentation import read_device
from monai_app.label.settings import Settings, Workspace
from monai_app.progress import Progress, silent

Say = Callable[[str], None]

CONNECTIONS = 256
"""At a time; requests over more are answered 503."""

KEEP_ALIVE = 20
"""Seconds after an answer for which a connection waits for another request."""

GRACE = 1
"""Seconds in which requests may come to an end when the server does."""

LAST = 5.0
"""Seconds after that for threads, which cannot be interrupted; Python would wait for them."""

LARGEST_LOG, KEPT_LOGS = 8 * 2**20, 3
"""Bytes of the log, and how many before it stay as ``server.log.1``, ``server.log.2``, ..."""


def export_cases(settings: Settings, workspace: Workspace, progress: Progress = silent) -> int:
    """Write the files of all cases, as a stock MONAI Label app needs them; returns their number.

    Raises:
        AppError: the stack or a bundle cannot be served.
    """
    cases = StackApp(settings, workspace).store.cases
    progress(0, len(cases))
    for done, case in enumerate(cases, 1):
        cases.image(case)
        progress(done, len(cases))
    return len(cases)


def serve_stack(settings: Settings, workspace: Workspace, access: Access, port: int, say: Say) -> None:
    """Serve until the process is interrupted or terminated.

    Args:
        settings: what is served.
        workspace: the server's folder, which is kept for it (`own_folder`).
        access: where it listens, and to whom.
        port: 0 takes any that is free.
        say: tells people how to connect.

    Raises:
        ConfigError: the address cannot be bound.
        AppError: the stack or a bundle cannot be served.
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
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
            lifespan="on",
        )
        _run(uvicorn.Server(config), bound, workspace.temporary)
    say("the server has stopped")


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound.

    Raises:
        ConfigError: the host is not this machine's, or the port is not free.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        bound.close()
        raise ConfigError(
            f"{host}:{port} cannot be bound ({error}); give a name or an address of this machine (--host), such as "
            "127.0.0.1, and a --port on which nothing listens"
        ) from None
    return bound


def _run(server: uvicorn.Server, bound: socket.socket, temporary: Path) -> None:
    """Run until SIGINT or SIGTERM, which uvicorn raises once more when it has shut down."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    # What requests send is kept, until it is read, on the disk that the person chose for the server.
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
    """Send the log into the server's file while the body runs; warnings are shown too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)
    handlers = (RotatingFileHandler(path, maxBytes=LARGEST_LOG, backupCount=KEPT_LOGS, encoding="utf8"), shown)
    root = logging.getLogger()
    # Where the disk is full, the terminal shall not fill with that; requests are told.
    level, logging.raiseExceptions = root.level, False
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _welcome(app: StackApp, access: Access, port: int) -> list[str]:
    store, shown = app.store, f"[{access.host}]" if ":" in access.host else access.host
    address = f"http://{shown}:{port}"
    login = ["            log in with any user name; the password is the server's token"] if access.token else []
    return [
        f"serving    {store.name()}: {store.description()}",
        f"models     {', '.join(f'{model.name} ({model.state})' for model in app.models.values())}",
        f"address    {address}",
        f"3D Slicer  install the extension MONAILabel, open the module MONAI Label, enter {address},",
        "            press the round arrow, then Next Sample; label, Submit Label, Train",
        *login,
        f"folder     {app.workspace.folder} (cases, models, log)",
        "Ctrl-C stops the server",
    ]
