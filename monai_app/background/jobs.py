"""Background jobs of the server: training, batch inference, scoring; MONAI Label calls them tasks."""

import asyncio
import logging
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from anyio import CancelScope, CapacityLimiter, to_thread

from monai_app.errors import (
    DISK_FULL,
    FailedError,
    InsufficientSpaceError,
    NotFoundError,
    RunningError,
    StoppedError,
    is_disk_full,
    user_error,
)

Work = Callable[[dict[str, Any]], Any]

_SHOWN, _KEPT = 20, 50
"""Lines of a log in responses; jobs of a kind that are remembered, and logs that are kept."""

_log = logging.getLogger(__name__)


class Job:
    """One piece of work.

    Args:
        kind: train, batch_infer or scoring.
        request: what was asked for.
        work: called in a thread with the request, and the path of the job's log as ``log``.
        folder: of the log.
        threads: of which one is taken.
    """

    def __init__(
        self, kind: str, request: Mapping[str, Any], work: Work, folder: Path, threads: CapacityLimiter
    ) -> None:
        self.kind, self.request, self.log = kind, request, folder / f"{kind}_{datetime.now():%Y%m%d_%H%M%S_%f}.log"
        self.log.touch()
        self.told_always = {"id": str(uuid.uuid4()), "request": request, "start_ts": _now()}
        self.ended: str | None = None
        self.scope = CancelScope()
        self.task = asyncio.create_task(self._run(work, threads))

    @property
    def status(self) -> str:
        """RUNNING, DONE, STOPPED or ERROR."""
        if not self.task.done():
            return "RUNNING"
        error = StoppedError() if self.task.cancelled() else self.task.exception()
        return "DONE" if error is None else "STOPPED" if isinstance(error, StoppedError) else "ERROR"

    def to_dict(self) -> dict[str, Any]:
        """The status for clients, with the end of the log."""
        status = self.status
        with self.log.open(encoding="utf8", errors="replace") as lines:
            details = [line.rstrip("\n") for line in deque(lines, _SHOWN)]
        if status == "ERROR" and (last := f"{self.kind} failed: {self.task.exception()}") not in details:
            details.append(last)  # for which the disk had no room
        ends = {} if status == "RUNNING" else {"end_ts": self.ended}
        return {**self.told_always, **ends, "status": status, "details": details}

    async def stop(self) -> None:
        """End what of the work runs in the event loop or in processes, and with it the work."""
        self.scope.cancel()
        await asyncio.wait([self.task], timeout=10)  # what its thread does beside cannot be interrupted

    async def _run(self, work: Work, threads: CapacityLimiter) -> Any:
        try:
            with suppress(CancelledError), self.scope:  # the one as the thread sees that it was stopped
                return await to_thread.run_sync(self._do, work, limiter=threads)
            raise StoppedError(f"the {self.kind} was stopped; start it again")
        finally:
            self.ended = _now()

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
            known = InsufficientSpaceError(DISK_FULL) if is_disk_full(error) else user_error(error)
            if known is None:
                _log.exception("%s failed", self.kind)
                known = FailedError(f"{type(error).__name__}: {error}; see its log, {self.log.name}")
            self._say(f"{self.kind} failed: {known}")
            raise known from (None if known is error else error)  # an error must not be its own cause
        finally:
            logging.getLogger().removeHandler(handler)
            with suppress(OSError):  # of a full disk
                handler.close()
        return result

    def _say(self, line: str) -> None:
        with suppress(OSError), self.log.open("a", encoding="utf8") as lines:
            lines.write(f"{line}\n")


class Jobs:
    """Starts jobs in the event loop, one of a kind at a time, and remembers them.

    Args:
        folder: of the logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._threads = folder, CapacityLimiter(8)
        self._jobs: dict[str, deque[Job]] = defaultdict(lambda: deque(maxlen=_KEPT))

    async def start(self, kind: str, request: Mapping[str, Any], work: Work) -> Job:
        """Start a `Job`.

        Raises:
            RunningError: one of the kind runs already.
        """
        if any(job.status == "RUNNING" for job in self._jobs[kind]):
            raise RunningError(f"{kind} is already running; wait for it (GET) or stop it (DELETE)")
        for old in sorted(self._folder.glob(f"{kind}_*.log"))[: 1 - _KEPT]:
            old.unlink(missing_ok=True)
        job = Job(kind, request, work, self._folder, self._threads)
        self._jobs[kind].append(job)
        return job

    async def run(self, kind: str, request: Mapping[str, Any], work: Work) -> Any:
        """Do a `Job`, wait for it, and return what it gives.

        Raises:
            StoppedError: it was stopped.
            AppError: one of the kind runs already, or it cannot be done.
        """
        job = await self.start(kind, request, work)
        await asyncio.wait([job.task])  # who does not wait any more does not stop it
        return job.task.result()

    def known(self, kind: str, *, running: bool) -> list[Job]:
        """Return the jobs of a kind since the server began, or the one that runs.

        Raises:
            NotFoundError: there is none.
        """
        known = [job for job in self._jobs[kind] if not running or job.status == "RUNNING"]
        if not known:
            raise NotFoundError(f"no {kind} {'runs' if running else 'was started'}")
        return known

    async def stop(self, kind: str) -> Job | None:
        """Stop the job that runs and return it; None if none runs."""
        for job in self._jobs[kind]:
            if job.status == "RUNNING":
                await job.stop()
                return job
        return None

    async def close(self) -> None:
        """Stop all jobs."""
        for kind in list(self._jobs):
            await self.stop(kind)


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
