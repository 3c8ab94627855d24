"""Volumes that clients send for one inference after the other; those that nobody uses any more are forgotten."""

import asyncio
import logging
import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from monai_app.label.datastore.volumes import Uploads
from monai_app.label.errors import UnknownError

SECONDS = 3600
"""Of MONAI Label's sessions, unless ``MONAI_LABEL_SESSION_EXPIRY`` says otherwise."""

SHORTEST = 60
"""MONAI Label takes `SECONDS` for anything that is not longer."""

EVERY = 300.0
"""Seconds between two looks at what nobody uses any more, as MONAI Label has it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A volume that a client sent to label it again and again.

    Attributes:
        name: the session's id.
        image: path of the volume.
        last_access_ts: when it was used last, seconds.
        expiry: seconds after its last use after which it is forgotten.
    """

    name: str
    image: str
    last_access_ts: int
    expiry: int

    def to_json(self) -> dict[str, Any]:
        """Return what clients are told: not where the volume is."""
        return {"name": self.name, "last_access_ts": self.last_access_ts, "expiry": self.expiry}


class Sessions:
    """The sessions of one folder. A file's time is when its session was used last.

    Args:
        folder: it is made when the first comes.
        seconds: from the last use until a session is forgotten.
    """

    def __init__(self, folder: Path, seconds: int) -> None:
        self._volumes = Uploads(folder)
        self._sooner: dict[str, int] = {}
        self.seconds = seconds if seconds > SHORTEST else SECONDS

    def add(self, source: Path) -> str:
        """Keep a volume and return its session's id.

        Raises:
            AppError: the file is no volume.
        """
        session_id = uuid.uuid4().hex
        self._volumes.add(session_id, source)
        return session_id

    def expire(self, session_id: str, seconds: int) -> None:
        """Forget a session sooner than the others.

        Args:
            session_id: the session's id.
            seconds: from its last use until it is forgotten; what is longer than the server's own changes nothing.
        """
        self._sooner[session_id] = min(seconds, self.seconds)

    def path(self, session_id: str, *, used: bool = True) -> Path:
        """Return a session's volume.

        Args:
            session_id: the session's id.
            used: it counts as a use.

        Raises:
            UnknownError: there is no such session, or not any more.
        """
        self.forget_unused()
        path = self._volumes.path(session_id)
        if path is None:
            raise self.unknown(session_id)
        if used:
            with suppress(FileNotFoundError):  # somebody removes it; whoever reads it says so
                os.utime(path)
        return path

    def unknown(self, session_id: str) -> UnknownError:
        """There is no such session, or not any more."""
        return UnknownError(
            f"there is no session {session_id[:120]!r}: one is forgotten {self.seconds} s after its last use, or "
            "sooner where its client said so; send the volume again (PUT /session/)"
        )

    def get_session(self, session_id: str, update_ts: bool = True) -> "Session":
        """Return a session, as MONAI Label's routers ask for it.

        Args:
            session_id: the session's id.
            update_ts: it counts as a use.

        Raises:
            UnknownError: there is no such session, or not any more.
        """
        path = self.path(session_id, used=update_ts)
        return Session(session_id, str(path), int(_last_use(path)), self._expiry(session_id))

    def remove_session(self, session_id: str) -> None:
        """Forget a session.

        Raises:
            UnknownError: there is no such session, or not any more.
        """
        self.path(session_id)
        self._volumes.remove(session_id)
        self._sooner.pop(session_id, None)

    def forget_unused(self) -> None:
        """Forget the sessions that nobody has used for long."""
        for session_id in self._volumes.ids():
            earliest = time.time() - self._expiry(session_id)
            if all(_last_use(path) < earliest for path in self._volumes.all(session_id)):
                self._volumes.remove(session_id)
                self._sooner.pop(session_id, None)

    def _expiry(self, session_id: str) -> int:
        return self._sooner.get(session_id, self.seconds)

    async def keep_forgetting(self) -> None:
        """Forget them again and again, also while nobody asks for anything."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await run_in_threadpool(self.forget_unused)
            except OSError as error:  # of the disk; the next look may find it mended
                _log.error("sessions that nobody uses cannot be removed: %s", error)


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # somebody else removed it meanwhile
        return time.time()
