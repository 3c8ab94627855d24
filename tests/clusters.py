"""A Dask cluster of a scheduler and two workers, in processes of their own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import distributed

from tests import warm
from tests.conftest import CHECKOUT
from tests.label.servers import free_port


@contextmanager
def cluster_of_two() -> Iterator[distributed.Client]:
    """Give a client of it; its processes end at the end."""
    port = free_port()
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([warm.python(), "-m", "tests.inference.nodes", str(port)], cwd=CHECKOUT, **silent)
    try:
        # Its scheduler will be lost, and then a client leaves its setting to all later tests.
        with dask.config.set(scheduler=None), client_of_two(f"tcp://127.0.0.1:{port}") as client:
            yield client
    finally:
        process.kill()
        process.wait()


@contextmanager
def client_of_two(address: str) -> Iterator[distributed.Client]:
    """Give a client of a scheduler as soon as it has two workers."""
    with distributed.Client(address, timeout=120) as client:
        client.wait_for_workers(2, timeout=120)
        yield client
