"""Processes of a server end when the server does, even when it is killed."""

import os
import threading
import time

SERVER = "MONAI_APP_SERVER"
"""Environment variable with the number of the server's process, which its processes inherit."""


def begin_family() -> None:
    """Make this process the server of those that it starts from now on."""
    os.environ[SERVER] = str(os.getpid())


def end_with_server() -> None:
    """End this process when the server that started it is gone; do nothing in one that no server started."""
    server = os.environ.get(SERVER)
    if server is None or int(server) == os.getpid():
        return
    # The server may be gone by now: then the parent is another process already.
    if os.getppid() != int(server):
        os._exit(1)

    def watch() -> None:
        while os.getppid() == int(server):
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="server").start()
