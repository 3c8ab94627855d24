"""Work that goes on in processes of its own: trainings, batches, scorings.

What is told of it is what MONAI Label tells of its tasks. Its processes begin as copies of one that has loaded the
libraries, which takes seconds, and each writes a log of its own.
"""

import logging
import os
import sys
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from monai_app.errors import AppError, causes, user_error
from monai_app.label.errors import RunningError, UnknownError
from monai_app.label.family import context, end_with_server
from monai_app.label.settings import Settings, Workspace

KINDS = ("train", "batch_infer", "scoring")

_SHOWN = 20
"""Lines of a log that clients are told."""

_LONGEST = 2000
"""Characters of a reason: more might not fit the pipe that nobody reads yet."""

_log = logging.getLogger(__name__)


@dataclass
class Task:
    """One piece of work.

    Attributes:
        kind: one of `KINDS`.
        request: what was asked for.
        log: what it says.
        process: where it runs.
        reason: over which it says why it failed: on a full disk its log cannot.
    """

    kind: str
    request: Mapping[str, Any]
    log: Path
    process: BaseProcess
    reason: Connection
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: str = field(default_factory=lambda: _now())
    ended: str | None = None
    stopped: bool = False
    failed: str = ""
    _listening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def status(self) -> str:
        """RUNNING, DONE, STOPPED or ERROR."""
        if self.process.exitcode is None:
            return "RUNNING"
        self.ended = self.ended or _now()
        return "STOPPED" if self.stopped else "ERROR" if self.process.exitcode else "DONE"

    def told(self) -> dict[str, Any]:
        """What clients are told, the end of the log included."""
        status = self.status  # notes the end
        with self.log.open(encoding="utf8", errors="replace") as lines:
            details = [line.rstrip("\n") for line in deque(lines, _SHOWN)]
        if status == "ERROR" and self._why() not in details:
            details.append(self._why())
        ends = {"end_ts": self.ended} if self.ended else {}
        return {
            "id": self.id, "status": status, "request": self.request, "start_ts": self.begun, **ends, "details": details
        }  # fmt: skip

    def _why(self) -> str:
        """What it said when it failed, or how it ended where it could not say anything."""
        with self._listening:
            if not self.failed:
                with suppress(EOFError, OSError):
                    self.failed = self.reason.recv()
                self.failed = self.failed or (
                    f"{self.kind} failed: its process ended with {self.process.exitcode}, perhaps because the memory "
                    "was used up"
                )
                self.reason.close()
            return self.failed


class Background:
    """Starts work, one of a kind at a time, and watches it.

    Args:
        settings: what is served.
        workspace: the server's folder.
    """

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self.settings, self.workspace = settings, workspace
        self._tasks: dict[str, list[Task]] = {kind: [] for kind in KINDS}
        self._lock = threading.Lock()

    def start(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start work.

        Raises:
            RunningError: one of the kind runs already.
        """
        with self._lock:
            if any(task.status == "RUNNING" for task in self._tasks[kind]):
                raise RunningError(f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
            log = self.workspace.logs / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log"
            log.touch()
            reason, said = context().Pipe(duplex=False)
            arguments = (kind, dict(request), self.settings, self.workspace, log, said)
            # Not as a daemon: trainings may have processes that load data.
            process = context().Process(target=_work, args=arguments, name=kind, daemon=False)
            process.start()
            said.close()
            task = Task(kind, request, log, process, reason)
            self._tasks[kind].append(task)
            _log.info("%s began: %s", kind, log)
            return task.told()

    def status(self, kind: str, *, everything: bool, running: bool) -> Any:
        """Return the work that runs, or else what ran last; or everything since the server began.

        Raises:
            UnknownError: there is none.
        """
        known = [task for task in self._tasks[kind] if not running or task.status == "RUNNING"]
        if not known:
            raise UnknownError(f"no {kind} {'runs' if running else 'was started'}")
        return [task.told() for task in known] if everything else known[-1].told()

    def stop(self, kind: str) -> dict[str, Any] | None:
        """Stop the work that runs; returns it, or None where none runs."""
        for task in self._tasks[kind]:
            if task.status == "RUNNING":
                task.stopped = True
                _end(task.process)
                return task.told()
        return None

    def close(self) -> None:
        """Stop all work."""
        for kind in KINDS:
            self.stop(kind)


def _work(
    kind: str, request: dict[str, Any], settings: Settings, workspace: Workspace, log: Path, reason: Connection
) -> None:
    """What a process does; its last line says what went wrong."""
    end_with_server()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    os.nice(5)  # the server shall answer, and people's inferences come first
    begin = time.monotonic()
    try:
        from monai_app.label.app import StackApp

        result = getattr(StackApp(settings, workspace), kind)(request)
    except Exception as error:
        said = f"{kind} failed: {_told(_known(error))}"
        reason.send(said[:_LONGEST])
        with suppress(OSError):  # of a full disk
            if not isinstance(_known(error), AppError | OSError):
                traceback.print_exception(error)
        _note(said)
        raise SystemExit(1) from None
    _note(f"{kind} finished in {time.monotonic() - begin:.1f} s: {result}")


def _note(line: str) -> None:
    """Write a line into the log, whatever the disk says."""
    with suppress(OSError):
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), f"{line}\n".encode())


def _known(error: Exception) -> BaseException:
    """The user's error or the system's among the causes; else the error."""
    system = (each for each in causes(error) if isinstance(each, OSError))
    return user_error(error) or next(system, error)


def _told(error: BaseException) -> str:
    """What went wrong, and what to do."""
    if isinstance(error, AppError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error}; see that the stack and the server's folder can be written and have room, then ask again"
    return f"{type(error).__name__}: {error}; the lines before say where"


def _end(process: BaseProcess) -> None:
    """Kill a process and those that it started."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    process.join(10)


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
