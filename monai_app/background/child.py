"""Child processes that end with this process, even if it is killed."""

import os
import runpy
import signal
import sys
import threading
import time

CHILD = (sys.executable, "-m", "monai_app.background.child")
"""A module as a child of this process; the module's name and its words follow."""

COMMAND = (*CHILD, "monai_app")
"""Our command line as a child of this process."""


def end_with_parent() -> None:
    """End this process when the one that started it is gone; Ctrl-C is for that one, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":  # a child leaves the machine to those who wait
    end_with_parent()
    os.nice(5)
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
