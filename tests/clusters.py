"""A Dask cluster of a scheduler and two workers, in processes of their own."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import distributed

from tests import warm
from tests.conftest import CHECKOUT


@contextmanager
def cluster_of_two(folder: Path) -> Iterator[distributed.Client]:
    """Give a client of it; its processes end at the end."""
    file = folder / "scheduler.json"
    words = [warm.python(), "-m", "tests.inference.nodes", str(file)]
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(words, cwd=CHECKOUT, **silent)
    try:
        while not file.exists():
            assert process.poll() is None
            time.sleep(0.1)
        # Its scheduler will be lost, and then a client leaves its setting to all later tests.
        with dask.config.set(scheduler=None), distributed.Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(2, timeout=120)
            yield client
    finally:
        process.kill()
        process.wait()
