"""How long the server waits for a connection that says nothing, and how many it has at a time.

uvicorn's own limits begin with a request: who connects and sends none would hold a file descriptor for ever, and a few
hundred of those would leave none for anybody else.
"""

import asyncio
import fcntl
import logging
import resource
import struct
import termios
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 20.0
"""From the connection, or the last answer, until a request's headers are there."""

SILENT_SECONDS = 60.0
"""In the midst of a request's body, or while an answer is not taken."""

MOST = 256
"""Connections at a time."""

BACKLOG = 64
"""Connections that are taken at once: so many more than may stay can be there for a moment."""

_LOOK = 1.0
"""Seconds between two looks at a connection."""

_PER_CONNECTION = 4
"""File descriptors that a connection needs with its files, generously."""

_ENOUGH = 2 * MOST * _PER_CONNECTION

_log = logging.getLogger(__name__)


def connections_at_a_time() -> int:
    """Let this process have the file descriptors that it may and needs, and return how many connections that makes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _ENOUGH:
        return MOST
    soft = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(MOST, soft // _PER_CONNECTION))


def connection_class(most: int) -> type["Connection"]:
    """Return what makes connections, of which there may be ``most`` at a time."""
    return type("Connection", (Connection,), {"most": most})


class Connection(H11Protocol):
    """A connection that is closed when nothing comes, and makes room for others while it waits for a request."""

    most = MOST
    """Connections that there may be at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; with too many connections, the one that has waited longest for a request is closed."""
        super().connection_made(transport)
        self._received, self._state, self._since = 0, self._progress(), self.loop.time()
        self._watch = self.loop.call_later(_LOOK, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note that something came."""
        self._received += len(data)
        super().data_received(data)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being received or answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_receiving(self) -> bool:
        """Whether a request's body is being received."""
        return not self.is_idle and self.cycle.more_body

    def _progress(self) -> tuple[Any, ...]:
        """What changes when something goes on. Bytes of a request's headers do not count: they may come for ever."""
        untaken = self.transport.get_write_buffer_size() + _unsent(self.transport.get_extra_info("socket").fileno())
        if self.is_idle and not untaken:
            return ("request", self.cycle)
        if self.is_receiving and not self.flow.read_paused:
            return ("body", self._received)
        return ("answer", untaken)

    def _allowed(self) -> float:
        if self._state[0] == "request":
            return REQUEST_SECONDS
        # Who waits for an answer may wait as long as it takes, if the answer is taken when it is there.
        return float("inf") if self._state == ("answer", 0) else SILENT_SECONDS

    def _look(self) -> None:
        now, state = self.loop.time(), self._progress()
        if state != self._state:
            self._state, self._since = state, now
        if now - self._since >= self._allowed():
            _log.info("a connection was closed: nothing came or was taken for %.0f s", self._allowed())
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(_LOOK, self._look)

    def _make_room(self) -> None:
        _log.warning("more than %d connections at a time: one of them was closed", self.most)
        others = (other for other in self.connections if isinstance(other, Connection) and other is not self)
        chosen = min((other for other in others if other.is_idle), key=lambda other: other._since, default=self)
        self.connections.discard(chosen)  # before the loop tells it
        chosen.transport.close()


def _unsent(descriptor: int) -> int:
    """Bytes that the system holds for a connection: megabytes, which a slow client takes over minutes."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:  # it is closed, or the system does not tell
        return 0
