"""What stands before every request: who may ask, from where, and how much may be sent."""

import hmac
import ipaddress
import re
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

LARGEST_TEXT = 256 * 2**10
"""Bytes that a request without files may send: JSON and forms are read in memory, and nobody is answered meanwhile."""

MOST_FILES, MOST_TEXTS = 2, 16
"""What a form may hold."""

_WITH_FILES = re.compile(r"/infer/[^/]+|/session/?|/datastore/(?:image|label)?")
"""Paths to which files are sent; what is sent to others may have the type of files and is none."""

_ONCE = ("host", "origin", "authorization", "content-type", "content-length", "transfer-encoding")
"""Headers that are looked at here, and perhaps by others behind: of two they might take the other one."""

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
        largest: bytes that a request with files may send; others send `LARGEST_TEXT` at most.
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
        headers, path = Headers(scope=scope), scope["path"]
        limit = self._limit(headers, path)
        refused = _unclear(headers) or self._refusal(headers, path) or limit.refusal(headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await _Limited(self.app, limit)(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> JSONResponse | None:
        host = headers.get("host", "")
        if self.access.hosts and _name(f"//{host}") not in self.access.hosts:
            return _answer(421, f"host {host!r} is not this server; call it by {', '.join(self.access.hosts)}")
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return _answer(403, f"requests of web pages from {origin!r} are not answered")
        if self.access.token is not None and path not in OPEN_PATHS:
            scheme, _, sent = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(sent.lstrip(" ").encode(), self.access.token.encode())
            if scheme.lower() != "bearer" or not right:  # RFC 9110, 11.1: schemes are the same in any case
                answer = _answer(401, "send the server's token as 'Authorization: Bearer TOKEN'")
                answer.headers["WWW-Authenticate"] = "Bearer"
                return answer
        return None

    def _limit(self, headers: Headers, path: str) -> "_Limit":
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data" and _WITH_FILES.fullmatch(path):
            return _Limit(
                self.access.largest,
                "a request may send {} bytes; send less, or start the server with a larger --max-upload",
            )
        return _Limit(
            LARGEST_TEXT, "a request without files may send {} bytes; send less, and volumes as multipart/form-data"
        )


@dataclass(frozen=True)
class _Limit:
    """How much a request may send, and what it is told where it sends more."""

    largest: int
    text: str

    def refusal(self, headers: Headers) -> JSONResponse | None:
        """Refuse a request that says beforehand that it sends more."""
        length = headers.get("content-length", "0")
        known = length.isdecimal() and len(length) <= _DIGITS
        return None if known and int(length) <= self.largest else self.answer()

    def answer(self) -> JSONResponse:
        """The answer to a request that sends more."""
        return _answer(413, self.text.format(self.largest))


class _Limited:
    """Stops a request that sends more than it may, also where it does not say how much it sends."""

    def __init__(self, app: ASGIApp, limit: _Limit) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, answered = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit.largest:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            # Whoever parses the body answers with an error of its own; the client shall read the cause.
            if received > self.limit.largest:
                raise _TooLargeError
            answered = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLargeError:
            if not answered:
                await self.limit.answer()(scope, receive, send)


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


def _unclear(headers: Headers) -> JSONResponse | None:
    """Refuse what two programs might understand in two ways."""
    for name in _ONCE:
        count = len(headers.getlist(name))
        if count > 1:
            return _answer(400, f"{count} headers {name!r}: send it once")
    if "content-length" in headers and "transfer-encoding" in headers:
        return _answer(400, "'content-length' and 'transfer-encoding' in one request: send one of them")
    return None


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
