"""Dask's scheduler and two of its workers, as they run on the nodes of a cluster.

They are forked from a process that has loaded what workers load, because that takes seconds, and end with it. A
scheduler that ends is started again at its address, with two workers, as a service manager does.
"""

import ctypes
import os
import signal
import sys

from click import Command
from distributed.cli.dask_scheduler import main as scheduler
from distributed.cli.dask_worker import main as worker

import monai_app.inference.worker  # noqa: F401 (loaded for the workers)

_DEATH_SIGNAL = 1
"""What `prctl` calls the signal that a process gets when its parent has died."""


def begin(command: Command, *words: str) -> int:
    """Run a command of Dask's in a process of its own and return its id."""
    if (process := os.fork()) == 0:
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        command.main([*words, "--host", "127.0.0.1", "--no-dashboard"])
    return process


def begin_all(port: str) -> int:
    """Start all of them and return the scheduler's process; workers try until it answers."""
    process = begin(scheduler, "--port", port)
    for _ in range(2):
        begin(worker, f"tcp://127.0.0.1:{port}", "--nthreads", "1", "--no-nanny")
    return process


def main(port: str) -> None:
    """Run them until this process is killed."""
    process = begin_all(port)
    while True:
        ended, _ = os.wait()
        if ended == process:
            process = begin_all(port)


if __name__ == "__main__":
    main(sys.argv[1])
