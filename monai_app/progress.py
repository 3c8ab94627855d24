"""Progress of long work as a callback, so that library code never prints; durations, counts and sizes in words."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NoReturn

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``: once before the first item (``done=0``) and again after every item."""

Task = Callable[[str], AbstractContextManager[Progress]]
"""Returns the progress callback of a named step."""

_log = logging.getLogger(__name__)

_SCALED_BAR = "{l_bar}{bar}| {n:.1f}/{total:.1f} [{elapsed}<{remaining}, {rate_fmt}]"


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


def counted(count: int, noun: str) -> str:
    """Format a count of things: ``"1 slice"`` or ``"3 slices"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def byte_size(count: int) -> str:
    """Format a number of bytes: ``"12 KiB"``, ``"340 MiB"`` or ``"1.5 GiB"``."""
    if count < 2**20:
        return f"{math.ceil(count / 2**10)} KiB"
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


class LoggedProgress:
    """Log progress with rate and remaining time.

    There are at least ``interval`` seconds between two lines, and more in long work; shorter work is not logged.

    Args:
        task: what is being done, e.g. ``"ingest"``.
        unit: what is counted, in the singular, e.g. ``"slice"``.
        interval: seconds between two lines, at least.
        per: items per unit, e.g. a million pixels for ``"Mpixel"``.
        report: called with each line.
    """

    def __init__(
        self,
        task: str,
        unit: str = "slice",
        interval: float = 5.0,
        per: int = 1,
        report: Callable[[str], object] = _log.info,
    ) -> None:
        self.task, self.unit, self.interval, self.per, self.report = task, unit, interval, per, report
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` items are done."""
        now = time.monotonic()
        if done == 0:
            self._start = self._last = now
            return
        seconds = now - self._start
        finished = done >= total and seconds >= self.interval
        if not finished and now - self._last < max(self.interval, seconds / 100):
            return
        self._last = now
        counts = "/".join(f"{count / self.per:.{0 if self.per == 1 else 1}f}" for count in (done, total))
        units = self.unit if total == self.per else f"{self.unit}s"
        rate = done / self.per / max(seconds, 1e-9)
        speed = f"{rate:.2f} {self.unit}s/s" if rate >= 1 else f"{1 / rate:.1f} s per {self.unit}"
        time_left = f"took {duration(seconds)}" if finished else f"{duration((total - done) * seconds / done)} left"
        self.report(f"{self.task}: {counts} {units}, {speed}, {time_left}")


@contextmanager
def shown_progress(
    task: str,
    unit: str,
    report: Callable[[str], object],
    *,
    interval: float = 5.0,
    per: int = 1,
    keep: bool = True,
) -> Iterator[Progress]:
    """Show progress on a terminal as a bar on standard error; otherwise, as in files, by lines.

    The bar lasts from the first call to the last item's, or to the end of the body.

    Args:
        task: what is being done.
        unit: what is counted, in the singular.
        report: called with each line.
        interval: seconds between two lines, at least.
        per: items per unit, as of `LoggedProgress`.
        keep: leave the bar on the terminal when it has ended.
    """
    if not sys.stderr.isatty():
        yield LoggedProgress(task, unit, interval, per, report)
        return
    from tqdm import tqdm

    scaled: dict[str, Any] = {} if per == 1 else {"unit_scale": 1 / per, "bar_format": _SCALED_BAR}
    with ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def show(done: int, total: int) -> None:
            if total == 0:
                return
            if not bars:
                bars.append(stack.enter_context(tqdm(desc=task, unit=unit, total=total, leave=keep, **scaled)))
            bars[0].update(done - bars[0].n)
            if done == total:
                bars.pop().close()  # what is logged afterwards would break its line

        yield show
