"""Volumes that clients send for one inference after the other; those that nobody uses any more are forgotten."""

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
"""From the last use of a session until it is forgotten, where ``MONAI_LABEL_SESSION_EXPIRY`` is not longer than 60."""

EVERY = 300.0
"""Seconds between two looks at what nobody uses any more, as MONAI Label has it."""

_log = logging.getLogger(__name__)


class Session(NamedTuple):
    """What MONAI Label's routes ask for: id, volume, last use, and how long it is kept from then, in seconds."""

    name: str
    image: str
    last_access_ts: int
    expiry: int

    def to_json(self) -> dict[str, Any]:
        """Return what clients are told: not where the volume is."""
        return {"name": self.name, "last_access_ts": self.last_access_ts, "expiry": self.expiry}


class Sessions:
    """Volumes that expire. A file's time is when its session was used last.

    Args:
        folder: it is made when the first comes.
        seconds: from the last use until a session is forgotten.
    """

    def __init__(self, folder: Path, seconds: int) -> None:
        self._volumes = Volumes(folder)
        self._sooner: dict[str, int] = {}
        self.seconds = seconds if seconds > 60 else SECONDS

    def add(self, source: Path, seconds: int = 0) -> str:
        """Keep a volume and return its session's id.

        It is forgotten some ``seconds`` after its last use, if that is sooner than the others; 0: as they are.

        Raises:
            AppError: the file is no volume.
        """
        session_id = uuid.uuid4().hex
        self._volumes.add(session_id, source)
        if 0 < seconds < self.seconds:
            self._sooner[session_id] = seconds
        return session_id

    def get_session(self, session_id: str, update_ts: bool = True) -> Session:
        """Return a session, as MONAI Label's routes ask for it; unless ``update_ts`` is false, that counts as a use.

        Raises:
            NotFoundError: there is no such session, or not any more.
        """
        self.forget_unused()
        path = self._volumes.path(session_id)
        if path is None:
            raise NotFoundError(
                f"there is no session {session_id[:120]!r}: a session expires {self.seconds} s after its last use, or "
                "sooner if its client asked for that; send the volume again (PUT /session/)"
            )
        if update_ts:
            with suppress(FileNotFoundError):  # somebody removes it; whoever reads it says so
                os.utime(path)
        return Session(session_id, str(path), int(_last_use(path)), self._sooner.get(session_id, self.seconds))

    def remove_session(self, session_id: str) -> None:
        """Forget a session."""
        self._volumes.remove(session_id)
        self._sooner.pop(session_id, None)

    def forget_unused(self) -> None:
        """Forget the sessions that nobody has used for long."""
        for session_id, path in self._volumes.files().items():
            if _last_use(path) < time.time() - self._sooner.get(session_id, self.seconds):
                self.remove_session(session_id)

    async def keep_forgetting(self) -> None:
        """Forget them again and again, also while nobody asks for anything."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await run_in_threadpool(self.forget_unused)
            except OSError as error:  # of the disk; the next look may find it mended
                _log.error("expired sessions cannot be removed: %s", error)


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # somebody else removed it meanwhile
        return time.time()
