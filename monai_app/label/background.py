"""Work that goes on in processes of its own: trainings, batches, scorings.

What is told of it is what MONAI Label tells of its tasks. Its processes begin as copies of one that has loaded the
libraries, which takes seconds, and each writes a log of its own.
"""

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from monai_app.errors import AppError, StoppedError
from monai_app.label.errors import InferenceError, RunningError, UnknownError, for_server
from monai_app.label.family import context, end_with_server
from monai_app.label.settings import Settings, Workspace

KINDS = ("train", "batch_infer", "scoring")

_SHOWN = 20
"""Lines of a log that clients are told."""

_log = logging.getLogger(__name__)


@dataclass
class Task:
    """One piece of work.

    Attributes:
        kind: one of `KINDS`.
        request: what was asked for.
        log: what it says.
        process: where it runs.
    """

    kind: str
    request: Mapping[str, Any]
    log: Path
    process: BaseProcess
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: str = field(default_factory=lambda: _now())
    ended: str | None = None
    stopped: bool = False
    _asking: threading.Lock = field(default_factory=threading.Lock)

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
        ends = {"end_ts": self.ended} if self.ended else {}
        return {
            "id": self.id, "status": status, "request": self.request, "start_ts": self.begun, **ends, "details": details
        }  # fmt: skip


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
        return self._begin(kind, request).told()

    def run(self, kind: str, request: Mapping[str, Any]) -> Any:
        """Do work that clients are told of like any other, wait for it, and return what it gives.

        Raises:
            RunningError: one of the kind runs already.
            StoppedError: somebody stopped it.
            InferenceError: it failed for a reason that nobody foresaw, or its process died.
            AppError: it cannot be done.
        """
        answer, there = context().Pipe(duplex=False)
        with answer:
            with there:  # which ends with the process then
                task = self._begin(kind, request, there)
            try:
                found = answer.recv()
            except EOFError:
                if task.stopped:
                    raise StoppedError(f"the {kind} was stopped; ask for it again") from None
                raise InferenceError(f"the {kind} failed; its log, {task.log.name}, says more") from None
        wait([task.process.sentinel])  # it runs no more when the client asks for the next one
        if isinstance(found, Exception):
            raise found
        return found

    def _begin(self, kind: str, request: Mapping[str, Any], answer: Connection | None = None) -> Task:
        with self._lock:
            if any(task.status == "RUNNING" for task in self._tasks[kind]):
                raise RunningError(f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
            log = self.workspace.logs / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log"
            log.touch()
            arguments = (kind, dict(request), self.settings, self.workspace, log, answer)
            # Not as a daemon: trainings may have processes that load data.
            process = context().Process(target=_work, args=arguments, name=kind, daemon=False)
            process.start()
            task = Task(kind, request, log, process)
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
                _end(task.process)
                return task.told()
        return None

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
    answer: Connection | None,
) -> None:
    """What a process does; the last line of its log says what went wrong, and ``answer`` is told it too."""
    end_with_server()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    os.nice(5)  # the server shall answer, and people's inferences come first
    from monai_app.label.app import StackApp

    begin = time.monotonic()
    try:
        result = getattr(StackApp(settings, workspace), kind)(request)
    except AppError as error:
        _tell(answer, for_server(error))  # before the log, which a full disk does not take
        print(f"{kind} failed: {error}", flush=True)
        raise SystemExit(1) from None
    except OSError as error:
        _tell(answer, error)
        raise
    _tell(answer, result)
    print(f"{kind} finished in {time.monotonic() - begin:.1f} s: {result}", flush=True)


def _tell(answer: Connection | None, found: Any) -> None:
    if answer is not None:
        answer.send(found)


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
    wait([process.sentinel], 10)


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
