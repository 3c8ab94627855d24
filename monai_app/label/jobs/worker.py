"""The process that applies models, so that the server answers meanwhile and survives what an inference does not."""

import os
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import torch
from anyio import BrokenWorkerProcess, CancelScope, CapacityLimiter, to_process

from monai_app.errors import AppError
from monai_app.label.errors import (
    DISK_FULL,
    STOPS,
    FailedError,
    NoMemoryError,
    NoRoomError,
    QueueFullError,
    StoppingError,
    is_disk_full,
)
from monai_app.label.jobs.family import end_with_parent

T = TypeVar("T")


class Worker:
    """One process that does one piece of work after the other; it starts with the first, and anew when it died.

    Args:
        waiting: how many may wait for the one that runs; more are refused.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting, self._one = waiting, CapacityLimiter(1)
        self._scopes: set[CancelScope] = set()
        self._closed = False

    async def run(self, work: Callable[..., T], *arguments: Any, refusable: bool = True) -> T:
        """Do work in the process, after what came before it. Cancelled, it leaves the line, or ends with its process.

        Args:
            work: a function of a module.
            arguments: of the function; they are pickled, as is what it returns.
            refusable: refuse it where as many wait as may; what the server itself does waits its turn.

        Raises:
            QueueFullError: as many wait as may.
            NoMemoryError: there was not enough memory.
            NoRoomError: the disk is full.
            FailedError: it failed for a reason that nobody foresaw, or its process died.
            StoppingError: the server ends.
            AppError: as the function says.
        """
        if self._closed:
            raise StoppingError(STOPS)
        if refusable and self._one.statistics().tasks_waiting >= self._waiting:
            raise QueueFullError(
                f"one inference runs and {self._waiting} wait, as many as may; ask again in a while, or start the "
                "server with a larger --waiting"
            )
        with CancelScope() as scope:
            self._scopes.add(scope)
            try:
                return await to_process.run_sync(_guarded, work, arguments, cancellable=True, limiter=self._one)
            except BrokenWorkerProcess:
                raise FailedError(
                    "the process that runs inferences died, perhaps because the memory was used up; the next inference "
                    "starts another one; give --memory, or fewer slices a case (--thickness)"
                ) from None
            finally:
                self._scopes.discard(scope)
        raise StoppingError(STOPS)

    def close(self) -> None:
        """End what runs and what waits, for good."""
        self._closed = True
        for scope in list(self._scopes):
            scope.cancel()


def _guarded(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """Turn what may be raised into errors that can be sent to the server; on the way they lose what caused them."""
    _begin()
    try:
        return work(*arguments)
    except Exception as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            torch.cuda.empty_cache()
            raise NoMemoryError(
                f"the inference needs more memory than there is ({error}); give --memory, or thinner cases "
                "(--thickness)"
            ) from None
        if is_disk_full(error):
            raise NoRoomError(DISK_FULL) from None
        if isinstance(error, AppError):
            raise
        failed = FailedError(f"the inference failed ({type(error).__name__}: {error}); see the server's log")
        failed.add_note(traceback.format_exc())
        raise failed from None


@cache
def _begin() -> None:
    """End with the server, and say nothing: nobody reads the pipe that is this process's standard error."""
    end_with_parent()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
