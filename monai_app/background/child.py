"""Processes that this one starts end when it does, even when it is killed."""

import os
import runpy
import signal
import sys
import threading
import time

COMMAND = (sys.executable, "-m", "monai_app.background.child")
"""Our command line as a child of this process."""


def end_with_parent() -> None:
    """End this process when the one that started it is gone; Ctrl-C is for that one, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":  # the command line as a child, which leaves the machine to those who wait
    end_with_parent()
    os.nice(5)
    runpy.run_module("monai_app", run_name="__main__")
