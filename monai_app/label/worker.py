"""The process that applies models, so that the server answers meanwhile and survives what an inference does not."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from monai_app.errors import AppError
from monai_app.label.errors import InferenceError, NoMemoryError, QueueFullError
from monai_app.label.family import context, end_with_server
from monai_app.label.inference import Job, infer

_STOPS = "the server stops; start it again"


class InferenceProcess:
    """One process that runs one inference after the other; it is started when the first comes, and again when it died.

    Args:
        waiting: inferences that may wait for the one that runs; more are refused.
        work: what the process does with a job.
    """

    def __init__(self, waiting: int, work: Callable[[Job], dict[str, Any]] = infer) -> None:
        self._room = threading.BoundedSemaphore(1 + waiting)
        self._waiting, self._work = waiting, work
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._closed = False
        self._pool: ProcessPoolExecutor | None = None

    def run(self, job: Job) -> dict[str, Any]:
        """Run a job in the process and wait for it.

        Raises:
            QueueFullError: as many wait as may.
            NoMemoryError: there was not enough memory.
            InferenceError: it failed for a reason that nobody foresaw, or its process died.
            AppError: the job cannot be done, as :func:`~monai_app.label.inference.infer` says.
        """
        if not self._room.acquire(blocking=False):
            raise QueueFullError(
                f"one inference runs and {self._waiting} wait, as many as may; ask again in a while, or start the "
                "server with a larger --waiting"
            )
        try:
            with self._turn:  # a process that dies takes the job that it runs along, and none that waits
                return self._run_in(self._started(), job)
        finally:
            self._room.release()

    def _run_in(self, pool: ProcessPoolExecutor, job: Job) -> dict[str, Any]:
        try:
            return pool.submit(_guarded, self._work, job).result()
        except (BrokenProcessPool, CancelledError, RuntimeError) as error:
            if isinstance(error, AppError):
                raise
            self._forget(pool)
            if self._closed:
                raise InferenceError(_STOPS) from None
            raise InferenceError(
                "the process that runs inferences died, perhaps because the memory was used up; the next inference "
                "starts another one; give --memory, or fewer slices a case (--thickness)"
            ) from None

    def close(self) -> None:
        """End the process, also in the midst of an inference."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):  # the pool has no way to interrupt
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise InferenceError(_STOPS)
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, context(), initializer=end_with_server)
            return self._pool

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False)


def _guarded(work: Callable[[Job], dict[str, Any]], job: Job) -> dict[str, Any]:
    """Turn what may be raised into errors that can be sent to the server."""
    try:
        return work(job)
    except AppError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        _give_back()
        raise NoMemoryError(
            f"the inference needs more memory than there is ({error}); give --memory, or thinner cases (--thickness)"
        ) from None
    except Exception as error:
        if "DefaultCPUAllocator" in str(error):
            raise NoMemoryError(f"the inference needs more memory than there is ({error}); give --memory") from None
        raise InferenceError(f"the inference failed ({type(error).__name__}: {error}); see the server's log") from error


def _give_back() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
