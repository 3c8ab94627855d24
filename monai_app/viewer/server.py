"""A stack in the browser: Neuroglancer's page and the files of the store, served only to this machine."""

import secrets
import signal
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from neuroglancer.server import Server
from neuroglancer.viewer_base import ViewerBase
from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from monai_app.errors import ConfigError, StackError
from monai_app.stack import Stack
from monai_app.viewer.content import shown_labels
from monai_app.viewer.scene import fill, phase_properties

LOOPBACK = "127.0.0.1"

_OTHER_HOSTS = r"(?!(?:127\.0\.0\.1|localhost)$).*"
"""Host names that are refused, because a web page may have rebound its own name to this server."""


class StoreFiles(StaticFileHandler):
    """The files of a store; none that a link leads to outside of it."""

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Return the path of a file; 403 and 404 for others."""
        path = super().validate_absolute_path(root, absolute_path)
        if path is not None and not Path(path).resolve().is_relative_to(root):
            raise HTTPError(403)
        return path

    def compute_etag(self) -> None:
        """Leave it to the file's time: a hash would be kept for good, also when labels are written again."""

    def set_extra_headers(self, path: str) -> None:
        """Have the browser ask whether a file has changed."""
        self.set_header("Cache-Control", "no-cache")


class Phases(RequestHandler):
    """The names of the phases of a label image."""

    def initialize(self, documents: dict[str, dict[str, Any]]) -> None:
        """Take a document for every label image."""
        self.documents = documents

    def get(self, name: str) -> None:
        """Answer with the document of a label image."""
        if name not in self.documents:
            raise HTTPError(404)
        self.write(self.documents[name])


class Opening(RequestHandler):
    """Leads to the secret address, once: the browser is started with this one, which other users can list."""

    def initialize(self, addresses: dict[str, str]) -> None:
        """Take the secret address by the last part of this one; it is taken out when it is given."""
        self.addresses = addresses

    def get(self, key: str) -> None:
        """Lead to the secret address."""
        address = self.addresses.pop(key, None)
        if address is None:
            raise HTTPError(404)
        self.redirect(address)


class Refusal(RequestHandler):
    """What requests by another name of this machine are answered."""

    def prepare(self) -> None:
        """Refuse whatever is asked."""
        raise HTTPError(403)


class NoIcon(RequestHandler):
    """Browsers ask every site for an icon, and call its absence an error."""

    def get(self) -> None:
        """Answer that there is none."""
        self.set_status(204)


@contextmanager
def served(
    stack: Stack, labels: Sequence[str] | None = None, port: int = 0, opening: str | None = None
) -> Iterator[str]:
    """Serve a stack to browsers on this machine while the body runs; nothing can be written.

    The address holds a secret token, so that other users of the machine see nothing.

    Args:
        stack: the stack.
        labels: the label images that are shown; ``annotation`` stands for the annotations; None for all.
        port: port; 0 takes one that is free.
        opening: a key; ``/open/KEY`` leads to the address, once.

    Returns:
        A context manager giving the address.

    Raises:
        StackError: there is no label image of a name, or the store is damaged or a snapshot.
        ConfigError: something else listens on the port.
    """
    shown = shown_labels(stack, labels)
    if (stack.path / "0").is_symlink():
        source = (stack.path / "0").resolve().parent
        raise StackError(f"{stack.path} is a snapshot that links to the images of {source}; view {source} instead")
    server = _listen(port)
    try:
        viewer = ViewerBase(allow_credentials=False)
        store, phases = f"/store/{viewer.token}", f"/phases/{viewer.token}"
        address = f"{server.server_url}/v/{viewer.token}/"
        documents = {each.name: phase_properties(each) for each in shown}
        server.app.add_handlers(
            ".*",
            [
                (rf"{store}/(.*)", StoreFiles, {"path": str(stack.path.resolve())}),
                (rf"{phases}/([^/]+)/info", Phases, {"documents": documents}),
                ("/open/(.*)", Opening, {"addresses": {} if opening is None else {opening: address}}),
                ("/favicon.ico", NoIcon),
            ],
        )
        with viewer.txn() as state:
            fill(state, stack, shown, server.server_url + store, server.server_url + phases)
        server.viewers[viewer.token] = viewer
        yield address
    finally:
        server.stop()


def _listen(port: int) -> Server:
    """Start Neuroglancer's server, with nothing to show yet; it refuses requests by another name of this machine."""
    try:
        server = Server(bind_address=LOOPBACK, bind_port=port)
    except OSError as error:
        raise ConfigError(
            f"port {port} of {LOOPBACK} cannot be used ({error.strerror}); give a free --port, or leave it out"
        ) from None
    server.app.add_handlers(_OTHER_HOSTS, [(".*", Refusal)])
    return server


def show(
    stack: Stack, labels: Sequence[str] | None, port: int, *, browser: bool, report: Callable[[str], None]
) -> None:
    """Serve a stack, and open it in the browser, until the process is interrupted or terminated.

    Raises:
        AppError: see `served`.
    """
    stopped, opening = threading.Event(), secrets.token_urlsafe()
    with served(stack, labels, port, opening) as address:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        report(f"{stack.name}: {address}")
        report("Ctrl-C stops the server")
        if browser:
            webbrowser.open(urljoin(address, f"/open/{opening}"))
        stopped.wait()
    report("the server has stopped")
