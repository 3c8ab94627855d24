"""The processes of a server: how they begin, and that they end when it does, even when it is killed."""

import os
import signal
import tempfile
import threading
import time
from functools import cache
from multiprocessing import forkserver, get_context, util
from multiprocessing.context import ForkServerContext

import psutil

SERVER = "MONAI_APP_SERVER"
"""Environment variable with the number of the server's process, which its processes inherit."""

_LONGEST = 60
"""Bytes that the name of a folder for sockets may have: with theirs they have up to 107."""

_LIBRARIES = ["monai_app.label.app"]
"""What is loaded once, before the first process begins: torch, MONAI and MONAI Label take seconds."""


@cache
def context() -> ForkServerContext:
    """How processes are made: as copies of one that has loaded the libraries and has neither threads nor CUDA."""
    made = get_context("forkserver")
    made.set_forkserver_preload(_LIBRARIES)
    return made


def begin_family() -> None:
    """Make this process the server of those that it starts from now on, and load what they need meanwhile."""
    os.environ[SERVER] = str(os.getpid())
    _shorten_sockets()
    context()
    # While it loads the libraries it would take a Ctrl-C, which is for the server, as its own.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _shorten_sockets() -> None:
    """Let processes find each other where the folder of temporary files has a long name: sockets' names may not."""
    if len(os.fsencode(tempfile.gettempdir())) <= _LONGEST:
        return
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        util.get_temp_dir()  # makes the folder that is used from now on
    finally:
        tempfile.tempdir = before


def end_with_server() -> None:
    """End this process when the server that started it is gone; do nothing in one that no server started."""
    number = os.environ.get(SERVER)
    if number is None or int(number) == os.getpid():
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    threading.Thread(target=_watch, args=(int(number),), daemon=True, name="server").start()


def _watch(number: int) -> None:
    try:
        server = psutil.Process(number)
        while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
    except psutil.NoSuchProcess:
        pass
    os._exit(1)
