"""What stands before every request: who may ask, from where, and how much may be sent."""

import asyncio
import hmac
import ipaddress
import logging
import re
from dataclasses import dataclass

from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monai_app.errors import ConfigError
from monai_app.label.errors import STOPS

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""Names that a browser may call a server on its own machine by."""

OPEN_PATHS = ("/auth/", "/auth/token")
"""Paths that answer without a token: a client asks there how to log in, and does."""

LARGEST_TEXT = 256 * 2**10
"""Bytes that a request without files may send: JSON and forms are read in memory, and nobody is answered meanwhile."""

_WITH_FILES = re.compile(r"/infer/[^/]+|/session/?|/datastore/(?:image|label)?")
"""Paths to which files are sent; what is sent to others may have the type of files and is none."""

BEARER = HTTPBearer(auto_error=False)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        host: address to bind to.
        token: what clients must send as ``Authorization: Bearer TOKEN``; None lets everybody in.
        largest: bytes that a request with files may send; others send `LARGEST_TEXT` at most.

    Raises:
        ConfigError: other machines would be asked for nothing, or the token is short or cannot be sent.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    largest: int = 4 * 2**30

    def __post_init__(self) -> None:
        if self.token is None and not self.is_local:
            raise ConfigError(
                f"host {self.host} is reached from other machines, and anyone there could read and change the "
                "labels: give a token (--token-file), or --host 127.0.0.1 and use an SSH tunnel"
            )
        if self.token is not None and len(self.token) < 16:
            raise ConfigError(f"a token of {len(self.token)} characters can be guessed; give 16 or more")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ConfigError("the token holds characters that cannot be sent; use letters, digits and signs of ASCII")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> list[str]:
        """Names that the server may be called by; without a token a web page may have made its name point here."""
        return ["*"] if self.token is not None else [*LOCAL_NAMES, self.host]


class AccessMiddleware:
    """ASGI middleware that refuses what `Access` does not allow, before anything of the request is looked at.

    A request that a web page of another origin makes is refused too: browsers send forms to servers on the local
    machine without asking them first. One that the end of the server cuts off is told so.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = await self._refusal(HTTPConnection(scope))
        if refused is not None:
            await refused(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, _limited(receive, self._most(HTTPConnection(scope))), noted)
        except asyncio.CancelledError:  # only the end of the server does that
            _log.info("cut off by the server's shutdown: %s %s", scope["method"], scope["path"])
            if not begun:
                await JSONResponse({"detail": STOPS}, 503, {"Retry-After": "5"})(scope, receive, send)

    async def _refusal(self, request: HTTPConnection) -> JSONResponse | None:
        origin, token = request.headers.get("origin"), self.access.token
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return JSONResponse({"detail": f"requests from web pages at {origin!r} are refused"}, 403)
        if token is not None and request.url.path not in OPEN_PATHS:
            sent = await BEARER(request)
            if sent is None or not hmac.compare_digest(sent.credentials.encode(), token.encode()):
                detail = {"detail": "send the server's token as 'Authorization: Bearer TOKEN'"}
                return JSONResponse(detail, 401, {"WWW-Authenticate": "Bearer"})
        return None

    def _most(self, request: HTTPConnection) -> int:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        files = kind == "multipart/form-data" and _WITH_FILES.fullmatch(request.url.path)
        return self.access.largest if files else LARGEST_TEXT


def _limited(receive: Receive, most: int) -> Receive:
    """Stop a request that sends more than it may, whether it says so or not."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            remedy = "send less, and volumes as multipart/form-data, or start the server with a larger --max-upload"
            raise HTTPException(413, f"this request may send {most} bytes; {remedy}")
        return message

    return counted
