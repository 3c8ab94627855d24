"""A Dask cluster of a scheduler and two workers, in processes of their own.

A client that loses its scheduler disturbs what Dask starts in its process later. So the process of the tests has no
client of a scheduler that is killed: tests ask by clients that end at once, another process loses the scheduler.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import distributed

from tests import warm
from tests.conftest import CHECKOUT
from tests.label.servers import free_port


class Nodes(NamedTuple):
    """The processes of a cluster."""

    scheduler: int
    workers: list[int]


@contextmanager
def cluster_of_two() -> Iterator[str]:
    """Give its address as soon as it has both workers; its processes end at the end."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([warm.python(), "-m", "tests.inference.nodes", str(port)], cwd=CHECKOUT, **silent)
    try:
        nodes_of(address)
        yield address
    finally:
        process.kill()
        process.wait()


def nodes_of(address: str, workers: int = 2) -> Nodes:
    """Return the processes of a cluster as soon as it has so many workers."""
    with distributed.Client(address, timeout=120) as client:
        client.wait_for_workers(workers, timeout=120)
        return Nodes(client.run_on_scheduler(os.getpid), [*client.run(os.getpid).values()])
