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
from monai_app.label.errors import InferenceError, RunningError, UnknownError, for_server
from monai_app.label.family import context, end_with_server
from monai_app.label.settings import Settings, Workspace

KINDS = ("train", "batch_infer", "scoring")

_SHOWN = 20
"""Lines of a log that clients are told."""

_LONGEST = 2000
"""Characters of a reason: more might not fit the pipe that nobody reads yet."""

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
        process: where it runs.
        end: over which it tells what it gives, where somebody waits for that, or why it failed: on a full disk its log
            cannot.
    """

    kind: str
    request: Mapping[str, Any]
    log: Path
    process: BaseProcess
    end: Connection
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: str = field(default_factory=lambda: _now())
    ended: str | None = None
    stopped: bool = False
    _answer: Any = None
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _listening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def status(self) -> str:
        """RUNNING, DONE, STOPPED or ERROR."""
        with self._asking:  # a process tells its exit code once: of two that ask at once, one would take it for lost
            code = self.process.exitcode
        if code is None:
            return "RUNNING"
        self.ended = self.ended or _now()
        return "STOPPED" if self.stopped else "ERROR" if code else "DONE"

    def told(self) -> dict[str, Any]:
        """What clients are told, the end of the log included."""
        status = self.status  # notes the end
        with self.log.open(encoding="utf8", errors="replace") as lines:
            details = [line.rstrip("\n") for line in deque(lines, _SHOWN)]
        if status == "ERROR" and isinstance(why := self.answer(), _Failure) and why.said not in details:
            details.append(why.said)
        ends = {"end_ts": self.ended} if self.ended else {}
        return {
            "id": self.id, "status": status, "request": self.request, "start_ts": self.begun, **ends, "details": details
        }  # fmt: skip

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of the process, while others may ask whether it runs."""
        wait([self.process.sentinel], seconds)
        with self._asking:
            self.process.join(1)

    def answer(self) -> Any:
        """Wait for the end of it, and return what it gives, or a `_Failure`."""
        with self._listening:
            if not self.end.closed:
                with suppress(EOFError, OSError):
                    self._answer = self.end.recv()
                self.join()  # it runs no more when a client asks for the next one
                if self._answer is None:
                    self._answer = self._unsaid()
                self.end.close()
            return self._answer

    def _unsaid(self) -> _Failure:
        """How it ended where it could not say anything."""
        if self.stopped:
            return _Failure("", StoppedError(f"the {self.kind} was stopped; ask for it again"))
        with self._asking:
            code = self.process.exitcode
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
        self._tasks: dict[str, list[Task]] = {kind: [] for kind in KINDS}
        self._lock = threading.Lock()

    def start(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start work.

        Raises:
            RunningError: one of the kind runs already.
        """
        return self._begin(kind, request, waited=False).told()

    def run(self, kind: str, request: Mapping[str, Any]) -> Any:
        """Do work that clients are told of like any other, wait for it, and return what it gives.

        Raises:
            RunningError: one of the kind runs already.
            StoppedError: somebody stopped it.
            InferenceError: it failed for a reason that nobody foresaw, or its process died.
            AppError: it cannot be done.
        """
        answer = self._begin(kind, request, waited=True).answer()
        if isinstance(answer, _Failure):
            raise answer.error
        return answer

    def _begin(self, kind: str, request: Mapping[str, Any], *, waited: bool) -> Task:
        with self._lock:
            if any(task.status == "RUNNING" for task in self._tasks[kind]):
                raise RunningError(f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
            log = self.workspace.logs / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log"
            log.touch()
            self._clear(kind)
            end, tell = context().Pipe(duplex=False)
            arguments = (kind, dict(request), self.settings, self._workspace(kind), log, tell, waited)
            # Not as a daemon: trainings may have processes that load data.
            process = context().Process(target=_work, args=arguments, name=kind, daemon=False)
            process.start()
            tell.close()  # the process has its own, and ends it with itself
            task = Task(kind, request, log, process, end)
            self._tasks[kind].append(task)
            _log.info("%s began: %s", kind, log)
            return task

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
                _kill(task.process)
                task.join(10)
                self._clear(kind)
                return task.told()
        return None

    def _workspace(self, kind: str) -> Workspace:
        """The server's folder, with temporary files of this work's own."""
        return replace(self.workspace, temporary_of=kind)

    def _clear(self, kind: str) -> None:
        """Remove what work that was killed left."""
        shutil.rmtree(self._workspace(kind).temporary, ignore_errors=True)

    def close(self) -> None:
        """Stop all work."""
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
    if waited:  # else nobody reads it, and what does not fit the pipe would wait for that
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


def _kill(process: BaseProcess) -> None:
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


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
