"""Progress of long work as a callback, so that library code never prints."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``: once before the first item (``done=0``) and again after every item."""

Task = Callable[[str], AbstractContextManager[Progress]]
"""Returns the progress callback of a named step."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""


def duration(seconds: float) -> str:
    """Format a duration: ``"42 s"``, ``"3 min 05 s"`` or ``"2 h 07 min"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class LoggedProgress:
    """Log progress with rate and remaining time, at most every ``interval`` seconds.

    Args:
        task: what is being done, e.g. ``"ingest"``.
        unit: what is counted, in the plural, e.g. ``"slices"``.
        interval: seconds between two lines; the last item is always reported.
        per: items per unit, e.g. a million pixels for ``"Mpixel"``.
    """

    def __init__(self, task: str, unit: str = "slices", interval: float = 5.0, per: int = 1) -> None:
        self.task, self.unit, self.interval, self.per = task, unit, interval, per
        self._logger = logging.getLogger(__name__)
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` items are done."""
        now = time.monotonic()
        if done == 0:
            self._start = self._last = now
            return
        if done < total and now - self._last < self.interval:
            return
        self._last = now
        rate = done / max(now - self._start, 1e-9)
        left = duration((total - done) / rate)
        counts = tuple(f"{count / self.per:.{0 if self.per == 1 else 1}f}" for count in (done, total))
        values = (*counts, self.unit, rate / self.per, self.unit, left)
        self._logger.info("%s: %s/%s %s, %.2f %s/s, %s left", self.task, *values)
