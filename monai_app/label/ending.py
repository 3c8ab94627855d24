"""How the server ends: at once for those who wait, and in time whatever still runs."""

import asyncio
import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable
from multiprocessing import util
from types import FrameType

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monai_app.label.errors import STOPS
from monai_app.label.patience import Connection

GRACE = 2
"""Seconds in which requests may come to an end."""

LAST = 5.0
"""Seconds after which the process ends, whatever goes on in it."""

_log = logging.getLogger(__name__)


class Ending:
    """ASGI middleware that answers a request which the end of the server cuts off.

    Args:
        app: what answers otherwise.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, also when it is cancelled: only the end of the server does that."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            _log.info("cut off by the end of the server: %s %s", scope["method"], scope["path"])
            if not begun:
                await JSONResponse({"detail": STOPS}, 503, {"Retry-After": "5"})(scope, receive, send)


class Server(uvicorn.Server):
    """uvicorn's server, which first ends what requests wait for, and does not wait for what clients may never send.

    Args:
        config: of uvicorn.
        close: ends what runs for the app; it may be called more than once.
        last: seconds after which the process ends, whatever goes on in it: threads cannot be interrupted, and Python
            waits for them. None leaves it to the caller.
    """

    def __init__(self, config: uvicorn.Config, close: Callable[[], None], last: float | None = None) -> None:
        super().__init__(config)
        self._close, self._last = close, last

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the first signal; another would only break off the end that it began, which takes seconds at most."""
        if not self.should_exit:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        if self._last is not None:
            last = threading.Timer(self._last, _leave)
            last.daemon = True
            last.start()
        closing = asyncio.create_task(run_in_threadpool(self._close))
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.is_receiving:
                connection.transport.abort()
        await super().shutdown(sockets)
        await closing


def _leave() -> None:
    """End the process at once; the folder of its processes' sockets is not left behind."""
    _log.warning("ended while a thread still ran")
    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)
    os._exit(0)
