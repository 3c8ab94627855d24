"""Work that goes on beside requests: trainings, batches, scorings. MONAI Label calls them tasks, and tells as much."""

import asyncio
import concurrent.futures
import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from anyio import CancelScope, CapacityLimiter, to_thread

from monai_app.errors import AppError, StoppedError, user_error
from monai_app.label.errors import (
    DISK_FULL,
    STOPS,
    FailedError,
    NoRoomError,
    RunningError,
    StoppingError,
    UnknownError,
    is_disk_full,
)

KINDS = ("train", "batch_infer", "scoring")

Work = Callable[[dict[str, Any]], Any]

_SHOWN = 20
"""Lines of a log that clients are told."""

_KEPT = 50
"""Jobs of a kind that are remembered, and logs that stay."""

_log = logging.getLogger(__name__)


@dataclass
class Job:
    """One piece of work.

    Attributes:
        kind: one of `KINDS`.
        request: what was asked for.
        log: file of what it says.
        status: RUNNING, DONE, STOPPED or ERROR.
        result: what it gave.
        error: why it failed.
    """

    kind: str
    request: Mapping[str, Any]
    log: Path
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: str = field(default_factory=lambda: _now())
    ended: str | None = None
    status: str = "RUNNING"
    result: Any = None
    error: AppError | None = None
    scope: CancelScope = field(default_factory=CancelScope)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self) -> dict[str, Any]:
        """What clients are told, the end of the log included."""
        with self.log.open(encoding="utf8", errors="replace") as lines:
            details = [line.rstrip("\n") for line in deque(lines, _SHOWN)]
        ends = {"end_ts": self.ended} if self.ended else {}
        if self.status == "ERROR" and (last := f"{self.kind} failed: {self.error}") not in details:  # the disk is full
            details.append(last)
        told = {"id": self.id, "status": self.status, "request": self.request, "start_ts": self.begun}
        return {**told, **ends, "details": details}

    async def run(self, work: Work, threads: CapacityLimiter) -> None:
        """Do the work in a thread; what of it runs in the event loop or in processes ends when it is stopped."""
        try:
            with self.scope:
                self.result = await to_thread.run_sync(self._do, work, limiter=threads)
                self.status = "DONE"
        except concurrent.futures.CancelledError:  # as the thread sees that
            pass
        except AppError as error:
            self.error = error
        finally:
            if self.status != "DONE":
                self.status = "STOPPED" if self.scope.cancel_called else "ERROR"
            self.ended = _now()
            self.over.set()

    def _do(self, work: Work) -> Any:
        with _logged(self.log):
            try:
                result = work({**self.request, "log": self.log})
            except concurrent.futures.CancelledError:
                raise
            except Exception as error:
                known = self._known(error)
                if known is not error:
                    _log.exception("%s failed", self.kind)
                self._say(f"{self.kind} failed: {known}")
                raise known from error
            self._say(f"{self.kind} finished: {result}")
            return result

    def _say(self, line: str) -> None:
        with suppress(OSError), self.log.open("a", encoding="utf8") as lines:
            lines.write(f"{line}\n")

    def _known(self, error: Exception) -> AppError:
        """What clients can be told."""
        if is_disk_full(error):
            return NoRoomError(DISK_FULL)
        unforeseen = f"{type(error).__name__}: {error}; its log, {self.log.name}, says more"
        return user_error(error) or FailedError(unforeseen)


class Jobs:
    """Starts jobs in the event loop, one of a kind at a time.

    Args:
        folder: of the logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._closed = folder, False
        self._known: dict[str, deque[Job]] = {kind: deque(maxlen=_KEPT) for kind in KINDS}
        self._threads = CapacityLimiter(len(KINDS))
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, kind: str, request: Mapping[str, Any], work: Work) -> Job:
        """Start a job.

        Args:
            kind: one of `KINDS`.
            request: what clients asked for; the work is given it, and its log's path as ``log``.
            work: called in a thread.

        Raises:
            RunningError: one of the kind runs already.
            StoppingError: the server ends.
        """
        if self._closed:
            raise StoppingError(STOPS)
        if any(job.status == "RUNNING" for job in self._known[kind]):
            raise RunningError(f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
        job = Job(kind, request, self._new_log(kind))
        self._known[kind].append(job)
        task = asyncio.create_task(job.run(work, self._threads))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def _new_log(self, kind: str) -> Path:
        """Return the file of another log; the oldest are removed."""
        for old in sorted(self._folder.glob(f"{kind}_*.log"))[: 1 - _KEPT]:
            old.unlink(missing_ok=True)
        log = self._folder / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log"
        log.touch()
        return log

    async def run(self, kind: str, request: Mapping[str, Any], work: Work) -> Any:
        """Do a job, wait for it, and return what it gives.

        Raises:
            RunningError: one of the kind runs already.
            StoppedError: somebody stopped it.
            StoppingError: the server ends.
            AppError: it cannot be done.
        """
        job = await self.start(kind, request, work)
        await job.over.wait()
        if job.status == "STOPPED":
            raise StoppingError(STOPS) if self._closed else StoppedError(f"the {kind} was stopped; ask for it again")
        if job.error is not None:
            raise job.error
        return job.result

    def status(self, kind: str, *, everything: bool, running: bool) -> list[Job]:
        """Return the job that runs, or else the one that ran last; or all since the server began.

        Raises:
            UnknownError: there is none.
        """
        known = [job for job in self._known[kind] if not running or job.status == "RUNNING"]
        if not known:
            raise UnknownError(f"no {kind} {'runs' if running else 'was started'}")
        return known if everything else known[-1:]

    async def stop(self, kind: str) -> Job | None:
        """Stop the job that runs and return it; None where none runs."""
        for job in self._known[kind]:
            if job.status == "RUNNING":
                job.scope.cancel()
                await job.over.wait()
                return job
        return None

    async def close(self) -> None:
        """Stop all jobs, for good."""
        self._closed = True
        for kind in KINDS:
            await self.stop(kind)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Add what this thread says to a file while the body runs."""
    handler, thread = logging.FileHandler(path, encoding="utf8"), threading.get_ident()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(lambda record: record.thread == thread)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
