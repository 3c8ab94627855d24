"""Start the server: prepare its folder, listen, tell people how to connect, and end cleanly."""

import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from monai_app.label.address import bound_socket
from monai_app.label.api import create_api
from monai_app.label.app import StackApp
from monai_app.label.ending import GRACE, LAST, Ending, Server
from monai_app.label.errors import NotTrainedError
from monai_app.label.family import begin_family
from monai_app.label.guard import LOCAL_NAMES, Access, check_access, is_loopback
from monai_app.label.login import keycloak
from monai_app.label.models import ServedModel
from monai_app.label.patience import BACKLOG, REQUEST_SECONDS, connection_class, connections_at_a_time
from monai_app.label.settings import Settings, Workspace
from monai_app.label.tasks import read_device
from monai_app.progress import Progress, silent

Say = Callable[[str], None]


@dataclass(frozen=True)
class Listening:
    """Where the server listens.

    Attributes:
        host: address to bind to.
        port: 0 takes any that is free.
        token: what clients must know; None asks for nothing.
        largest: bytes that a request may send.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    largest: int = 4 * 2**30


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


def serve_stack(settings: Settings, workspace: Workspace, where: Listening, say: Say) -> None:
    """Serve until the process is interrupted or terminated; it then ends `LAST` seconds later at the latest.

    Args:
        settings: what is served.
        workspace: the server's folder, which is kept for it (`own_folder`).
        where: where it listens.
        say: tells people how to connect.

    Raises:
        ConfigError: nobody would be asked for a token, or the address cannot be bound.
        AppError: the stack or a bundle cannot be served.
    """
    check_access(where.host, where.token, keycloak=keycloak())
    if settings.device is not None:
        read_device({"device": settings.device})
    app = StackApp(settings, workspace)
    for name in app.info()["models"]:
        app.model(name).check(app.store.stack)
    with bound_socket(where.host, where.port) as bound:
        begin_family()  # before temporary files go elsewhere: the names of its sockets may not be long
        port = int(bound.getsockname()[1])
        for line in _welcome(app, where.host, port, where.token is not None):
            say(line)
        config = uvicorn.Config(
            Ending(create_api(app, _access(where))),
            http=connection_class(connections_at_a_time()),
            backlog=BACKLOG,
            log_config=None,
            access_log=False,
            timeout_keep_alive=int(REQUEST_SECONDS),
            timeout_graceful_shutdown=GRACE,
            lifespan="on",
        )
        with _temporary_files_in(workspace.temporary):
            _run(Server(config, app.close, LAST), bound)
    say("the server has stopped")


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let this process keep what requests send, until it is read, on the disk that the person chose for the server."""
    folder.mkdir(parents=True, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _run(server: Server, bound: socket.socket) -> None:
    """Run until SIGINT or SIGTERM, which uvicorn raises once more when it has shut down."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        server.run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _access(where: Listening) -> Access:
    # Behind a token any name is fine; without one, a web page may have made its name point here.
    hosts = (*LOCAL_NAMES, where.host) if where.token is None and is_loopback(where.host) else ()
    return Access(where.token, hosts, where.largest)


def _welcome(app: StackApp, host: str, port: int, token: bool) -> list[str]:
    store, shown = app.store, f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    models = [f"{name} ({_state(app.model(name))})" for name in app.info()["models"]]
    login = ["            log in with any user name; the password is the server's token"] if token else []
    return [
        f"serving    {store.name()}: {store.description()}",
        f"models     {', '.join(models)}",
        f"address    {address}",
        f"3D Slicer  install the extension MONAILabel, open the module MONAI Label, enter {address},",
        "            press the round arrow, then Next Sample; label, Submit Label, Train",
        *login,
        f"folder     {app.workspace.folder} (cases, models, log)",
        "Ctrl-C stops the server",
    ]


def _state(model: ServedModel) -> str:
    try:
        return "not trained yet" if model.run is None else f"run {model.run.name}"
    except NotTrainedError as error:
        return str(error)
