"""Work that goes on in processes of its own: trainings, batches, scorings.

What is told of it is what MONAI Label tells of its tasks. Its processes begin as copies of one that has loaded the
libraries, which takes seconds, and each writes a log of its own.
"""

import logging
import os
import shutil
import sys
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from monai_app.errors import AppError, StoppedError, causes, user_error
from monai_app.label.errors import STOPS, InferenceError, RunningError, StoppingError, UnknownError, for_server
from monai_app.label.family import context, end_with_server
from monai_app.label.settings import Settings, Workspace

KINDS = ("train", "batch_infer", "scoring")

_SHOWN = 20
"""Lines of a log that clients are told."""

_KEPT = 50
"""Pieces of work of a kind that are remembered, and logs that stay."""

_LONGEST = 2000
"""Characters of a reason."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Failure:
    """Why work failed: in its log's words, and as the answer to a client that waits for it."""

    said: str
    error: AppError


@dataclass
class Task:
    """One piece of work.

    Attributes:
        kind: one of `KINDS`.
        request: what was asked for.
        log: what it says.
        pid: of its process.
        status: RUNNING, DONE, STOPPED or ERROR.
        stopped: somebody stops it.
        answer: when it is over, what it gives, where somebody waits for that, or a `_Failure`.
        over: set when it is.
    """

    kind: str
    request: Mapping[str, Any]
    log: Path
    pid: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: str = field(default_factory=lambda: _now())
    ended: str | None = None
    status: str = "RUNNING"
    stopped: bool = False
    answer: Any = None
    over: threading.Event = field(default_factory=threading.Event)

    def told(self) -> dict[str, Any]:
        """What clients are told, the end of the log included."""
        status = self.status
        with self.log.open(encoding="utf8", errors="replace") as lines:
            details = [line.rstrip("\n") for line in deque(lines, _SHOWN)]
        if status == "ERROR" and self.answer.said not in details:  # of a full disk
            details.append(self.answer.said)
        ends = {"end_ts": self.ended} if self.ended else {}
        return {
            "id": self.id, "status": status, "request": self.request, "start_ts": self.begun, **ends, "details": details
        }  # fmt: skip

    def watch(self, process: BaseProcess, end: Connection, temporary: Path) -> None:
        """Wait for the end of its process, and note it; the only one who asks, since a process tells its end once.

        Args:
            process: the process.
            end: over which it says what it gives or why it failed: on a full disk its log cannot.
            temporary: folder of temporary files, which it leaves there when it is killed.
        """
        with end:
            wait([end, process.sentinel])
            with suppress(EOFError, OSError):
                self.answer = end.recv() if end.poll() else None
        process.join()
        code = process.exitcode
        process.close()
        shutil.rmtree(temporary, ignore_errors=True)
        if code and not isinstance(self.answer, _Failure):
            self.answer = self._unsaid(code)
        self.ended = _now()
        # It may have come to its end just before it was stopped.
        self.status = "DONE" if code == 0 else "STOPPED" if self.stopped else "ERROR"
        self.over.set()

    def _unsaid(self, code: int) -> _Failure:
        """Why it ended where it could not say anything."""
        if self.stopped:
            return _Failure("", StoppedError(f"the {self.kind} was stopped; ask for it again"))
        said = f"{self.kind} failed: its process ended with {code}, perhaps because the memory was used up"
        return _Failure(said, InferenceError(said))


class Background:
    """Starts work, one of a kind at a time, and watches it.

    Args:
        settings: what is served.
        workspace: the server's folder.
    """

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self.settings, self.workspace = settings, workspace
        self._tasks: dict[str, deque[Task]] = {kind: deque(maxlen=_KEPT) for kind in KINDS}
        self._lock, self._closed = threading.Lock(), False

    def start(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start work.

        Raises:
            RunningError: one of the kind runs already.
            StoppingError: the server stops.
        """
        return self._begin(kind, request, waited=False).told()

    def run(self, kind: str, request: Mapping[str, Any]) -> Any:
        """Do work that clients are told of like any other, wait for it, and return what it gives.

        Raises:
            RunningError: one of the kind runs already.
            StoppedError: somebody stopped it.
            StoppingError: the server stops.
            InferenceError: it failed for a reason that nobody foresaw, or its process died.
            AppError: it cannot be done.
        """
        task = self._begin(kind, request, waited=True)
        task.over.wait()
        if not isinstance(task.answer, _Failure):
            return task.answer
        raise StoppingError(STOPS) if self._closed else task.answer.error

    def _begin(self, kind: str, request: Mapping[str, Any], *, waited: bool) -> Task:
        with self._lock:
            if self._closed:
                raise StoppingError(STOPS)
            if any(task.status == "RUNNING" for task in self._tasks[kind]):
                raise RunningError(f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
            log = self._new_log(kind)
            own = replace(self.workspace, temporary_of=kind)
            end, tell = context().Pipe(duplex=False)
            arguments = (kind, dict(request), self.settings, own, log, tell, waited)
            # Not as a daemon: trainings may have processes that load data.
            process = context().Process(target=_work, args=arguments, name=kind, daemon=False)
            process.start()
            tell.close()  # the process has its own
            task = Task(kind, request, log, process.pid or 0)
            threading.Thread(target=task.watch, args=(process, end, own.temporary), name=kind, daemon=True).start()
            self._tasks[kind].append(task)
            _log.info("%s began: %s", kind, log)
            return task

    def _new_log(self, kind: str) -> Path:
        """Return the file of another log; the oldest are removed."""
        for old in sorted(self.workspace.logs.glob(f"{kind}_*.log"))[: 1 - _KEPT]:
            old.unlink(missing_ok=True)
        log = self.workspace.logs / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log"
        log.touch()
        return log

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
        with self._lock:
            for task in self._tasks[kind]:
                if not task.over.is_set():
                    task.stopped = True
                    _kill(task.pid)
                    task.over.wait(10)
                    return task.told()
        return None

    def close(self) -> None:
        """Stop all work, for good."""
        self._closed = True
        for kind in KINDS:
            self.stop(kind)


def _work(
    kind: str,
    request: dict[str, Any],
    settings: Settings,
    workspace: Workspace,
    log: Path,
    tell: Connection,
    waited: bool,
) -> None:
    """What a process does; the last line of its log says what went wrong, and the server is told it too."""
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
        failure = _failure(kind, error, log)
        tell.send(failure)
        with suppress(OSError):  # of a full disk
            if not isinstance(_known(error), AppError | OSError):
                traceback.print_exception(error)
        _note(failure.said)
        raise SystemExit(1) from None
    finally:
        shutil.rmtree(workspace.temporary, ignore_errors=True)
    if waited:
        tell.send(result)
    _note(f"{kind} finished in {time.monotonic() - begin:.1f} s: {result}")


def _failure(kind: str, error: Exception, log: Path) -> _Failure:
    known = _known(error)
    said = f"{kind} failed: {_told(known)}"[:_LONGEST]
    if isinstance(known, AppError | OSError) and len(str(known)) < _LONGEST:
        return _Failure(said, for_server(known))
    return _Failure(said, InferenceError(f"the {kind} failed; its log, {log.name}, says more"))


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


def _kill(pid: int) -> None:
    """Kill a process and those that it started."""
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
