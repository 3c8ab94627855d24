"""What stands before every request: who may ask, from where, and how much may be sent."""

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monai_app.errors import ConfigError

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""Names that a browser may call a server on its own machine by."""

OPEN_PATHS = ("/auth/", "/auth/token")
"""Paths that answer without a token: a client asks there how to log in, and does."""

SMALLEST_TOKEN = 16
"""Characters that a token needs at least."""


_DIGITS = 20
"""Of a length that a request may announce; more are no number that anybody sends."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_access(host: str, token: str | None, *, keycloak: bool = False) -> None:
    """Refuse to serve everybody.

    Args:
        host: address to bind to.
        token: what clients must know.
        keycloak: MONAI Label's own authentication is on.

    Raises:
        ConfigError: the address is reached from other machines and nothing is asked of them, or the token is short or
            cannot be sent.
    """
    if token is not None and len(token) < SMALLEST_TOKEN:
        raise ConfigError(f"a token of {len(token)} characters can be guessed; give {SMALLEST_TOKEN} or more")
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ConfigError("the token holds characters that cannot be sent; use letters, digits and signs of ASCII")
    if not is_loopback(host) and token is None and not keycloak:
        raise ConfigError(
            f"host {host} is reached from other machines, and everybody there could read and change the labels: give a "
            "token (--token-file), switch MONAI Label's authentication on (MONAI_LABEL_AUTH_ENABLE=true), or bind "
            "127.0.0.1 and use an SSH tunnel"
        )


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: what clients must send as ``Authorization: Bearer TOKEN``; None lets everybody in.
        hosts: names that the server may be called by; empty allows all. It keeps out web pages whose name was made to
            point at this machine.
        largest: bytes that a request may send.
    """

    token: str | None
    hosts: Sequence[str]
    largest: int


class Guard:
    """ASGI middleware that refuses what `Access` does not allow, before anything of the request is looked at.

    A request that a web page of another origin makes is refused too: browsers send forms to servers on the local
    machine without asking them first.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refusal(Headers(scope=scope), scope["path"])
        if refused is not None:
            await refused(scope, receive, send)
            return
        await _Limited(self.app, self.access.largest)(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> JSONResponse | None:
        host = headers.get("host", "")
        if self.access.hosts and _name(f"//{host}") not in self.access.hosts:
            return _answer(421, f"host {host!r} is not this server; call it by {', '.join(self.access.hosts)}")
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return _answer(403, f"requests of web pages from {origin!r} are not answered")
        if self.access.token is not None and path not in OPEN_PATHS:
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self.access.token}".encode()):
                answer = _answer(401, "send the server's token as 'Authorization: Bearer TOKEN'")
                answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > _DIGITS or int(length) > self.access.largest:
            return _answer(413, _too_large(self.access.largest))
        return None


class _Limited:
    """Stops a request that sends more than it may, also where it does not say how much it sends."""

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self.app, self.largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, answered = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.largest:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            # Whoever parses the body answers with an error of its own; the client shall read the cause.
            if received > self.largest:
                raise _TooLargeError
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLargeError:
            if not answered:
                await _answer(413, _too_large(self.largest))(scope, receive, send)


class _TooLargeError(Exception):
    pass


def _place(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _too_large(largest: int) -> str:
    return f"a request may send {largest} bytes; send less, or start the server with a larger --max-upload"


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
