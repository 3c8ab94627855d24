"""Dask's scheduler and two of its workers, as they run on the nodes of a cluster.

They are forked from a process that has loaded what workers load, because that takes seconds, and end with it.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from click import Command
from distributed.cli.dask_scheduler import main as scheduler
from distributed.cli.dask_worker import main as worker

import monai_app.inference.worker  # noqa: F401 (loaded for the workers)

_DEATH_SIGNAL = 1
"""What `prctl` calls the signal that a process gets when its parent has died."""


def begin(command: Command, *words: str) -> None:
    """Run a command of Dask's in a process of its own."""
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        command.main([*words, "--host", "127.0.0.1", "--no-dashboard"])


def main(file: str) -> None:
    """Run them until they end; the scheduler writes its address into a file."""
    begin(scheduler, "--port", "0", "--scheduler-file", file)
    while not Path(file).exists():
        time.sleep(0.05)
    for _ in range(2):
        begin(worker, "--nthreads", "1", "--no-nanny", "--scheduler-file", file)
    for _ in range(3):
        os.wait()


if __name__ == "__main__":
    main(sys.argv[1])
