"""The process that applies models, so that the server answers meanwhile and survives what an inference does not."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from monai_app.errors import AppError
from monai_app.label.errors import (
    STOPS,
    AbandonedError,
    InferenceError,
    NoMemoryError,
    QueueFullError,
    StoppingError,
    for_server,
)
from monai_app.label.family import context, end_with_server
from monai_app.label.inference import Job, infer

_LOOK = 0.1
"""Seconds after which an inference looks again whether somebody still waits for it."""


class InferenceProcess:
    """One process that runs one inference after the other; it is started when the first comes, and again when it died.

    Args:
        waiting: inferences that may wait for the one that runs; more are refused.
        work: what the process does with a job.
    """

    def __init__(self, waiting: int, work: Callable[[Job], dict[str, Any]] = infer) -> None:
        self._waiting, self._work = waiting, work
        self._line: deque[object] = deque()  # the first one's inference runs
        self._moved, self._lock = threading.Condition(), threading.Lock()
        self._closed = False
        self._pool: ProcessPoolExecutor | None = None

    def run(self, job: Job, cancelled: threading.Event | None = None) -> dict[str, Any]:
        """Run a job in the process and wait for it; jobs are run in the order in which they come.

        Args:
            job: what is to be done.
            cancelled: set by others when nobody wants the job any more. One that waits leaves the line; one that runs
                ends with its process, since a network in the midst of a tile cannot be interrupted otherwise.

        Raises:
            QueueFullError: as many wait as may.
            AbandonedError: it was cancelled.
            NoMemoryError: there was not enough memory.
            NoRoomError: the disk is full.
            InferenceError: it failed for a reason that nobody foresaw, or its process died.
            StoppingError: the process was closed.
            AppError: the job cannot be done, as :func:`~monai_app.label.inference.infer` says.
        """
        cancelled = cancelled or threading.Event()
        with self._turn(cancelled):  # a process that dies takes the job that it runs along, and none that waits
            return self._run_in(self._started(), job, cancelled)

    @contextmanager
    def _turn(self, cancelled: threading.Event) -> Iterator[None]:
        """Wait in line, and let the next one come after the body."""
        ticket = object()
        with self._moved:
            if len(self._line) > self._waiting:
                raise QueueFullError(
                    f"one inference runs and {self._waiting} wait, as many as may; ask again in a while, or start the "
                    "server with a larger --waiting"
                )
            self._line.append(ticket)
        try:
            with self._moved:
                while self._line[0] is not ticket:
                    _check_wanted(cancelled)
                    self._moved.wait(_LOOK)
            _check_wanted(cancelled)
            yield
        finally:
            with self._moved:
                self._line.remove(ticket)
                self._moved.notify_all()

    def _run_in(self, pool: ProcessPoolExecutor, job: Job, cancelled: threading.Event) -> dict[str, Any]:
        try:
            future = pool.submit(_guarded, self._work, job)
            while not wait([future], _LOOK).done:
                if cancelled.is_set() or self._closed:  # again and again: the process may only just begin
                    self._end(pool)
            return future.result()
        except (BrokenProcessPool, CancelledError, RuntimeError) as error:
            if isinstance(error, AppError):
                raise
            self._end(pool)
            _check_wanted(cancelled)
            if self._closed:
                raise StoppingError(STOPS) from None
            raise InferenceError(
                "the process that runs inferences died, perhaps because the memory was used up; the next inference "
                "starts another one; give --memory, or fewer slices a case (--thickness)"
            ) from None

    def close(self) -> None:
        """End the process, also in the midst of an inference."""
        with self._lock:
            self._closed = True
            pool = self._pool
        if pool is not None:
            self._end(pool)

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise StoppingError(STOPS)
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, context(), initializer=end_with_server)
            return self._pool

    def _end(self, pool: ProcessPoolExecutor) -> None:
        """Kill the process and wait until it is gone; the next inference starts another one."""
        with self._lock:
            mine = self._pool is pool  # else somebody waits for its end already
            if mine:
                self._pool = None
        for process in list((pool._processes or {}).values()):  # the pool has no way to interrupt
            process.kill()
        if mine:
            pool.shutdown(wait=True, cancel_futures=True)


def _check_wanted(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise AbandonedError("the client went away, so its inference was cancelled; ask again")


def _guarded(work: Callable[[Job], dict[str, Any]], job: Job) -> dict[str, Any]:
    """Turn what may be raised into errors that can be sent to the server."""
    try:
        return work(job)
    except AppError as error:
        raise for_server(error) from None
    except (MemoryError, torch.OutOfMemoryError) as error:
        _give_back()
        raise NoMemoryError(
            f"the inference needs more memory than there is ({error}); give --memory, or thinner cases (--thickness)"
        ) from None
    except Exception as error:
        if "DefaultCPUAllocator" in str(error):
            raise NoMemoryError(f"the inference needs more memory than there is ({error}); give --memory") from None
        failed = InferenceError(f"the inference failed ({type(error).__name__}: {error}); see the server's log")
        failed.__cause__ = error
        raise for_server(failed) from error


def _give_back() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
