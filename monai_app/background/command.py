"""Running a command of this package in a separate process."""

import asyncio
import os
import signal
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from anyio import CancelScope

from monai_app.background.child import COMMAND
from monai_app.errors import REFUSED, ConfigError, FailedError, StoppedError

_SHOWN = 20
"""Lines of a log that its last error may have."""


async def run_command(words: Sequence[str], log: Path) -> None:
    """Run a command of this package in a separate process, which ends with this one.

    Args:
        words: after ``monai-app``.
        log: file to which its output is appended.

    Raises:
        ConfigError: its message, if the user can correct the error.
        FailedError: it ended otherwise.
    """
    with log.open("ab") as log_file:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *words, stdin=asyncio.subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True
        )
    try:
        code = await process.wait()
    finally:
        with suppress(ProcessLookupError):  # those that it started end too
            os.killpg(process.pid, signal.SIGKILL)
        with CancelScope(shield=True):
            await process.wait()
    if code:
        with log.open(encoding="utf8", errors="replace") as lines:
            ending = "".join(deque(lines, _SHOWN)).strip()
        last = ending.splitlines()[-1] if ending else ""
        if code == REFUSED:  # its error, which may have several lines
            raise ConfigError(ending.rpartition("monai-app: ")[2])
        died = f"its process ended with {code}, perhaps because it ran out of memory"
        raise FailedError(died if code < 0 else f"{last}; see its log, {log.name}")


class StoppableCommand:
    """Runs commands from a thread, until they end or another thread stops them."""

    def __init__(self) -> None:
        self._lock, self._stopped = threading.Lock(), False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None

    def __call__(self, words: Sequence[str], log: Path) -> None:
        """Run a command as `run_command` does, and wait for it.

        Raises:
            StoppedError: it was stopped, or is not to begin any more.
            AppError: see `run_command`.
        """
        try:
            asyncio.run(self._run(words, log))
        except asyncio.CancelledError:
            raise StoppedError(f"{words[0]} was stopped") from None

    def stop(self) -> None:
        """Kill the command with all processes that it started; those that would come after it do not begin."""
        with self._lock:
            self._stopped = True
            if self._running is not None:
                loop, task = self._running
                loop.call_soon_threadsafe(task.cancel)

    async def _run(self, words: Sequence[str], log: Path) -> None:
        task = asyncio.ensure_future(run_command(words, log))
        with self._lock:
            if self._stopped:
                task.cancel()
            self._running = asyncio.get_running_loop(), task
        try:
            await task
        finally:
            with self._lock:
                self._running = None
