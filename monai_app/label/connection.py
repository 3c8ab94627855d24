"""Work for a client that may go away: it is cancelled then, since nobody would read the answer."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

T = TypeVar("T")

_SPARE = 40
"""Threads beside those that wait long: for requests that are refused, and for what comes before and after the wait."""

_log = logging.getLogger(__name__)


def threads_for(waiting: int) -> CapacityLimiter:
    """Return threads apart from those of all other routes, which answer however many wait here.

    Args:
        waiting: how many requests wait or work for long at a time.
    """
    return CapacityLimiter(waiting + _SPARE)


async def while_connected(request: Request, work: Callable[[threading.Event], T], threads: CapacityLimiter) -> T:
    """Run work in a thread and return what it gives.

    Args:
        request: the request, whose body has been read.
        work: called with an event that is set when the client closes the connection before the work is done.
        threads: whose thread is taken.
    """
    gone = threading.Event()
    watch = asyncio.create_task(_watch(request, gone))
    try:
        return await to_thread.run_sync(work, gone, limiter=threads)
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
