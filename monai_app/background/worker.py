"""The worker process for inference, so that the server stays responsive and survives crashes."""

import os
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import torch
from anyio import BrokenWorkerProcess, CancelScope, CapacityLimiter, from_thread, sleep, to_process

from monai_app.background.child import end_with_parent
from monai_app.errors import DISK_FULL, AppError, FailedError, InsufficientSpaceError, UnavailableError, is_disk_full

T = TypeVar("T")


class Worker:
    """One process that runs tasks in sequence; it starts with the first task and is restarted if it dies.

    Args:
        waiting: maximum number of waiting tasks; further ones are refused.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting, self._one = waiting, CapacityLimiter(1)
        self._scopes: set[CancelScope] = set()

    def do(self, work: Callable[..., T], *arguments: Any, refusable: bool = False) -> T:
        """Run a task in the process after earlier ones, and wait for it in a thread of the event loop.

        Cancelled, it leaves the line, or ends with its process: a network in the midst of a tile cannot be interrupted.

        Args:
            work: a function of a module.
            arguments: of the function; they are pickled, as is what it returns.
            refusable: refuse it where as many wait as may; what the server itself does waits its turn.

        Raises:
            UnavailableError: the queue is full.
            InsufficientSpaceError: there was not enough memory, or the disk is full.
            FailedError: it failed unexpectedly, or its process died.
            AppError: as the function says.
        """
        return from_thread.run(self._do, work, arguments, refusable)

    async def _do(self, work: Callable[..., T], arguments: tuple[Any, ...], refusable: bool) -> T:
        if refusable and self._one.statistics().tasks_waiting >= self._waiting:
            raise UnavailableError(
                f"one inference is running and {self._waiting} are waiting, which is the limit; try again later, or "
                "start the server with a larger --waiting"
            )
        scope = CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                return await to_process.run_sync(_guarded, work, arguments, cancellable=True, limiter=self._one)
            raise UnavailableError("the server is shutting down; try again after it has restarted")
        except BrokenWorkerProcess:
            raise FailedError(
                "the process that runs inferences died, perhaps because it ran out of memory; the next inference "
                "starts a new one; give --memory, or fewer slices per case (--thickness)"
            ) from None
        finally:
            self._scopes.discard(scope)

    async def close(self) -> None:
        """End what runs and what waits: the event loop would end them too, and complain."""
        for scope in self._scopes:
            scope.cancel()
        while self._scopes:
            await sleep(0.01)


def _guarded(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """Turn what may be raised into errors that can be sent to the server; on the way they lose what caused them."""
    _begin()
    try:
        return work(*arguments)
    except Exception as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            torch.cuda.empty_cache()
            remedy = "give --memory, or thinner cases (--thickness)"
            raise InsufficientSpaceError(
                f"the inference needs more memory than is available ({error}); {remedy}"
            ) from None
        if is_disk_full(error):
            raise InsufficientSpaceError(DISK_FULL) from None
        if isinstance(error, AppError):
            raise
        failed = FailedError(f"the inference failed ({type(error).__name__}: {error}); see the server's log")
        failed.add_note(traceback.format_exc())
        raise failed from None


@cache
def _begin() -> None:
    """End with the server, without output: standard error is a pipe that is not read."""
    end_with_parent()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
