"""Access control: who may send requests, from where, and how large."""

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
"""Host names by which a browser may address a server on its own machine."""

OPEN_PATHS = ("/auth/", "/auth/token")
"""Paths without a token: clients use them to log in."""

LARGEST_TEXT = 256 * 2**10
"""Maximum bytes of a request without files: JSON and forms are parsed in memory, which blocks the event loop."""

_WITH_FILES = re.compile(r"/infer/[^/]+|/session/?|/datastore/(?:image|label)?")
"""Paths that accept files; on others, multipart requests are limited like text."""

BEARER = HTTPBearer(auto_error=False)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """Who may send requests.

    Attributes:
        host: address to bind to.
        token: token that clients must send as ``Authorization: Bearer TOKEN``; None requires none.
        largest: maximum bytes of a request with files; the limit of others is `LARGEST_TEXT`.

    Raises:
        ConfigError: other machines could connect without a token, or the token is too short or has invalid characters.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    largest: int = 4 * 2**30

    def __post_init__(self) -> None:
        if self.token is None and not self.is_local:
            raise ConfigError(
                f"host {self.host} is reachable from other machines, where anyone could read and change the labels; "
                "give a token (--token-file), or --host 127.0.0.1 and use an SSH tunnel"
            )
        if self.token is not None and len(self.token) < 16:
            raise ConfigError(f"a token of {len(self.token)} characters can be guessed; use at least 16")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ConfigError(
                "the token contains characters that cannot be sent; use ASCII letters, digits and punctuation"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> list[str]:
        """Allowed host names; without a token, they prevent DNS rebinding by web pages."""
        return ["*"] if self.token is not None else [*LOCAL_NAMES, self.host]


class AccessMiddleware:
    """ASGI middleware that refuses requests that `Access` does not allow, before they are parsed.

    Requests of web pages from another origin are also refused, because browsers send forms to local servers without a
    preflight request. A request that is cut off by the server's shutdown gets a response that says so.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it."""
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
        except asyncio.CancelledError:  # only the server's shutdown does that
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
    """Stop a request that exceeds the limit, with or without a declared length."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            remedy = "send less, and volumes as multipart/form-data, or start the server with a larger --max-upload"
            raise HTTPException(413, f"this request may have at most {most} bytes; {remedy}")
        return message

    return counted
