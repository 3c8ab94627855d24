"""A running Dask cluster."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import dask
import distributed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from monai_app.errors import ConfigError, StoppedError, user_error

_TIMEOUT = "20s"
"""How long a scheduler may take to answer."""

LOST = (CommClosedError, TimeoutError, asyncio.TimeoutError, CancelledError, KilledWorker)
"""What the client raises when the scheduler is gone, or a task killed every worker that tried it."""


@contextmanager
def losses_reported(where: str) -> Iterator[None]:
    """Convert the loss of a cluster to an error with one sentence.

    Args:
        where: address of the scheduler, or what kind of cluster it is.

    Raises:
        StoppedError: the scheduler cannot be reached or is gone, or a task killed every worker that tried it.
        AppError: an error of a worker that the user can correct.
    """
    logging.getLogger("distributed").setLevel(logging.WARNING)  # every connection is news to it
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # the lost scheduler is reported below
    try:
        # A client that lost its scheduler leaves Dask's setting, and all that uses Dask would look for that scheduler.
        with dask.config.set(scheduler=None):
            yield
    except LOST as error:
        cause = user_error(error)
        if cause is not None:
            raise cause from error
        reason = "no connection to its scheduler" if isinstance(error, CancelledError) else str(error) or "no answer"
        raise StoppedError(
            f"the cluster {where} was lost: {reason}; finished work is kept: check the workers' logs, and run the same "
            "command again to resume, on this cluster, another one or none"
        ) from error


@contextmanager
def connected(address: str) -> Iterator[distributed.Client]:
    """Yield a client of a scheduler.

    Raises:
        ConfigError: the address is none that Dask can use, for instance of TLS without certificates.
        CommClosedError: there is no response.
    """
    try:
        client = distributed.Client(address, timeout=_TIMEOUT)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise CommClosedError(f"no scheduler responded within {_TIMEOUT}: {error}") from error
    except (TypeError, ValueError, RuntimeError) as error:  # no certificates; a protocol that Dask does not know
        raise ConfigError(f"cluster {address}: {error}; correct the address, or Dask's configuration") from error
    with client:
        yield client


@contextmanager
def tasks_of(client: distributed.Client, plugin: distributed.WorkerPlugin, name: str) -> Iterator[list[Any]]:
    """Give a plugin of that name to every worker, those that come later included, until the body ends.

    Yields:
        A list for the futures of the tasks that need it: they are cancelled before it is taken back.
    """
    futures = list[Any]()
    try:
        client.register_plugin(plugin, name)
        yield futures
    finally:
        # Where the scheduler is gone, so is the plugin; one that was started in its place knows of none (ValueError).
        with suppress(*LOST, OSError, ValueError):
            client.cancel(futures)  # type: ignore[no-untyped-call]
            client.unregister_worker_plugin(name)  # type: ignore[no-untyped-call]
