"""Work for a client that may go away: it is cancelled then, since nobody would read the answer."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

T = TypeVar("T")

_log = logging.getLogger(__name__)


async def while_connected(request: Request, work: Callable[[threading.Event], T]) -> T:
    """Run work in a thread and return what it gives.

    Args:
        request: the request, whose body has been read.
        work: called with an event that is set when the client closes the connection before the work is done.
    """
    gone = threading.Event()
    watch = asyncio.create_task(_watch(request, gone))
    try:
        return await run_in_threadpool(work, gone)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)  # also where it sent more than a request may


async def _watch(request: Request, gone: threading.Event) -> None:
    try:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        _log.info("a client went away: %s %s is cancelled", request.method, request.url.path)
    finally:
        gone.set()
