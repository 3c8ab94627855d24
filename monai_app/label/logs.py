"""The server's log: a file that does not grow without bounds, and the same message not a thousand times."""

import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

LARGEST = 8 * 2**20
"""Bytes of the log; then it gets the name ``server.log.1``, and another begins."""

KEPT = 3
"""Logs before it that stay."""

OFTEN = 5
"""Times that a message is shown within `PERIOD`; more are counted."""

PERIOD = 60.0
"""Seconds."""

_KNOWN = 200
"""Messages that are told apart."""


class Repeats(logging.Filter):
    """Leaves out messages that come again and again, and says with the next one how many those were."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is shown; ``repeated`` of the record is what is said of those that were not."""
        failed = record.exc_info and repr(record.exc_info[1])
        key = (record.name, record.levelno, str(record.msg), repr(record.args), failed)
        now = time.monotonic()
        begun, count = self._seen.pop(key, (now, 0))
        record.repeated = ""
        if now - begun > PERIOD:
            record.repeated = f" [{count - OFTEN} times more since]" if count > OFTEN else ""
            begun, count = now, 0
        self._seen[key] = (begun, count + 1)
        if len(self._seen) > _KNOWN:
            self._seen.popitem(last=False)
        return count < OFTEN


class _LogFile(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Do nothing: where the disk is full, the terminal shall not fill with that; requests are told."""


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Send the log into the server's file while the body runs; warnings are shown too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.WARNING)
    handlers = (_LogFile(path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf8"), shown)
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s%(repeated)s", defaults={"repeated": ""})
    root = logging.getLogger()
    level = root.level
    for handler in handlers:
        handler.setFormatter(form)
        handler.addFilter(Repeats())
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
