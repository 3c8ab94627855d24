"""Work that goes on beside requests: trainings, batches, scorings. MONAI Label calls it tasks, and tells as much."""

import asyncio
import logging
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from anyio import CancelScope, CapacityLimiter, to_thread

from monai_app.errors import AppError, NoRoomError, StoppedError, user_error
from monai_app.label.errors import (
    DISK_FULL,
    STOPS,
    FailedError,
    RunningError,
    UnavailableError,
    UnknownError,
    is_disk_full,
)

Work = Callable[[dict[str, Any]], Any]

_SHOWN, _KEPT = 20, 50
"""Lines of a log that clients are told; jobs of a kind that are remembered, and logs that stay."""

_log = logging.getLogger(__name__)


@dataclass
class Job:
    """One piece of work.

    Attributes:
        kind: train, batch_infer or scoring.
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
    task: asyncio.Task[None] | None = None

    def told(self) -> dict[str, Any]:
        """What clients are told, the end of the log included."""
        with self.log.open(encoding="utf8", errors="replace") as lines:
            details = [line.rstrip("\n") for line in deque(lines, _SHOWN)]
        if self.error is not None and (last := f"{self.kind} failed: {self.error}") not in details:  # the disk is full
            details.append(last)
        told = {"id": self.id, "status": self.status, "request": self.request, "start_ts": self.begun}
        return {**told, **({"end_ts": self.ended} if self.ended else {}), "details": details}

    async def run(self, work: Work, threads: CapacityLimiter) -> None:
        """Do the work in a thread; what of it runs in the event loop or in processes ends when it is stopped."""
        status = "ERROR"
        try:
            with self.scope:
                self.result = await to_thread.run_sync(self._do, work, limiter=threads)
                status = "DONE"
        except CancelledError:  # as the thread sees that
            status = "STOPPED"
        except AppError as error:
            self.error = error
        self.status, self.ended = status, _now()

    def _do(self, work: Work) -> Any:
        handler, thread = logging.FileHandler(self.log, encoding="utf8"), threading.get_ident()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handler.addFilter(lambda record: record.thread == thread)
        logging.getLogger().addHandler(handler)
        try:
            result = work({**self.request, "log": self.log})
            self._say(f"{self.kind} finished: {result}")
        except CancelledError:
            raise
        except Exception as error:
            known = NoRoomError(DISK_FULL) if is_disk_full(error) else user_error(error)
            if known is None:
                _log.exception("%s failed", self.kind)
                known = FailedError(f"{type(error).__name__}: {error}; its log, {self.log.name}, says more")
            self._say(f"{self.kind} failed: {known}")
            raise known from error
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()
        return result

    def _say(self, line: str) -> None:
        with suppress(OSError), self.log.open("a", encoding="utf8") as lines:  # of a full disk
            lines.write(f"{line}\n")


class Jobs:
    """Starts jobs in the event loop, one of a kind at a time, and remembers them.

    Args:
        folder: of the logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._closed, self._threads = folder, False, CapacityLimiter(8)
        self._jobs: dict[str, deque[Job]] = defaultdict(lambda: deque(maxlen=_KEPT))

    async def start(self, kind: str, request: Mapping[str, Any], work: Work) -> Job:
        """Start a job.

        Args:
            kind: train, batch_infer or scoring.
            request: what clients asked for.
            work: called in a thread with the request, and the path of the job's log as ``log``.

        Raises:
            RunningError: one of the kind runs already.
            UnavailableError: the server ends.
        """
        if self._closed:
            raise UnavailableError(STOPS)
        if any(job.status == "RUNNING" for job in self._jobs[kind]):
            raise RunningError(f"{kind} runs already; wait for it (GET) or stop it (DELETE)")
        for old in sorted(self._folder.glob(f"{kind}_*.log"))[: 1 - _KEPT]:
            old.unlink(missing_ok=True)
        job = Job(kind, request, self._folder / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log")
        job.log.touch()
        job.task = asyncio.create_task(job.run(work, self._threads))
        self._jobs[kind].append(job)
        return job

    async def run(self, kind: str, request: Mapping[str, Any], work: Work) -> Any:
        """Do a job, wait for it, and return what it gives.

        Raises:
            StoppedError: somebody stopped it.
            AppError: as `start`, or it cannot be done.
        """
        job = await self.start(kind, request, work)
        await _over(job)
        if job.status == "STOPPED":
            raise UnavailableError(STOPS) if self._closed else StoppedError(f"the {kind} was stopped; ask for it again")
        if job.error is not None:
            raise job.error
        return job.result

    def known(self, kind: str, *, running: bool) -> list[Job]:
        """Return the jobs of a kind since the server began, or the one that runs.

        Raises:
            UnknownError: there is none.
        """
        known = [job for job in self._jobs[kind] if not running or job.status == "RUNNING"]
        if not known:
            raise UnknownError(f"no {kind} {'runs' if running else 'was started'}")
        return known

    async def stop(self, kind: str) -> Job | None:
        """Stop the job that runs and return it; None where none runs."""
        for job in self._jobs[kind]:
            if job.status == "RUNNING":
                job.scope.cancel()
                await _over(job)
                return job
        return None

    async def close(self) -> None:
        """Stop all jobs, for good."""
        self._closed = True
        for kind in list(self._jobs):
            await self.stop(kind)


async def _over(job: Job) -> None:
    if job.task is not None:
        await asyncio.wait([job.task])


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
