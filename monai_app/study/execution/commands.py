"""Commands in processes that are killed together."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from monai_app.errors import FailedError

_SHOWN = 3
"""Last lines of a log that an error shows."""


class Commands:
    """Commands of this package, each in a separate process.

    Args:
        environment: variables that they get beside those of this process, in whose place they stand.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._killed = threading.Lock(), False

    @property
    def killed(self) -> bool:
        """Whether they were."""
        return self._killed

    def run(self, log: Path, command: Sequence[str], *words: object) -> None:
        """Run a command with more words; all that it says goes into a log.

        Raises:
            FailedError: it failed, or was killed.
        """
        with log.open("ab") as log_file:
            with self._lock:
                if self._killed:
                    raise FailedError("it was stopped")
                process = subprocess.Popen(
                    [*command, *map(str, words)],
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=log_file,
                    env=self._environment,
                    start_new_session=True,
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        if code:
            last = log.read_text(encoding="utf8", errors="replace").strip().splitlines()[-_SHOWN:]
            raise FailedError(f"{' '.join(last)} (see {log}; it ended with {code})")

    def kill(self) -> None:
        """Kill those that run, and let no other begin."""
        with self._lock:
            self._killed = True
            for process in self._running:
                with suppress(ProcessLookupError):  # those that it started end too
                    os.killpg(process.pid, signal.SIGKILL)
