"""Sessions: volumes that clients send for repeated inference; they expire after their last use."""

import asyncio
import logging
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from monai_app.errors import NotFoundError
from monai_app.label.datastore.volumes import Volumes

SECONDS = 3600
"""Seconds from the last use of a session until it expires, unless ``MONAI_LABEL_SESSION_EXPIRY`` exceeds 60."""

EVERY = 300.0
"""Seconds between two searches for expired sessions, as in MONAI Label."""

_log = logging.getLogger(__name__)


class Session(NamedTuple):
    """The attributes that MONAI Label's routes use: id, volume, last use, and seconds until it expires."""

    name: str
    image: str
    last_access_ts: int
    expiry: int

    def to_json(self) -> dict[str, Any]:
        """Return the response for clients, without the path of the volume."""
        return {"name": self.name, "last_access_ts": self.last_access_ts, "expiry": self.expiry}


class Sessions:
    """Volumes that expire. The modification time of a file is the last use of its session.

    Args:
        folder: the folder; it is created with the first volume.
        seconds: time from the last use until a session expires.
    """

    def __init__(self, folder: Path, seconds: int) -> None:
        self._volumes = Volumes(folder)
        self._sooner: dict[str, int] = {}
        self.seconds = seconds if seconds > 60 else SECONDS

    def add(self, source: Path, seconds: int = 0) -> str:
        """Store a volume and return its session's id.

        It expires ``seconds`` after its last use if that is earlier than the default; 0 means the default.

        Raises:
            AppError: the file is not a volume.
        """
        session_id = uuid.uuid4().hex
        self._volumes.add(session_id, source)
        if 0 < seconds < self.seconds:
            self._sooner[session_id] = seconds
        return session_id

    def get_session(self, session_id: str, update_ts: bool = True) -> Session:
        """Return a session for MONAI Label's routes; this counts as a use unless ``update_ts`` is false.

        Raises:
            NotFoundError: the session does not exist or has expired.
        """
        self.forget_unused()
        path = self._volumes.path(session_id)
        if path is None:
            raise NotFoundError(
                f"there is no session {session_id[:120]!r}: a session expires {self.seconds} s after its last use, or "
                "earlier if its client requested that; send the volume again (PUT /session/)"
            )
        if update_ts:
            with suppress(FileNotFoundError):  # if it is being removed, reading it raises
                os.utime(path)
        return Session(session_id, str(path), int(_last_use(path)), self._sooner.get(session_id, self.seconds))

    def remove_session(self, session_id: str) -> None:
        """Remove a session."""
        self._volumes.remove(session_id)
        self._sooner.pop(session_id, None)

    def forget_unused(self) -> None:
        """Remove expired sessions."""
        for session_id, path in self._volumes.files().items():
            if _last_use(path) < time.time() - self._sooner.get(session_id, self.seconds):
                self.remove_session(session_id)

    async def keep_forgetting(self) -> None:
        """Remove expired sessions periodically, even without requests."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await run_in_threadpool(self.forget_unused)
            except OSError as error:  # of the disk; the next search may succeed
                _log.error("expired sessions cannot be removed: %s", error)


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # removed meanwhile
        return time.time()
