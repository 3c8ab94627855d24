"""What `tests.warm.python()` runs: hand all that this process was given to a forked one, and end as that one ends."""

import json
import os
import signal
import socket
import sys

MAX_FILES = 64
"""Files with higher numbers are not handed over."""

FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def main(address: str) -> None:
    """Run ``python WORDS`` in a process that the server forks."""
    words = sys.argv[1:]
    while words[0] in ("-B", "-u"):
        del words[0]
    if words[0].startswith("-") and words[0] not in ("-c", "-m"):  # other options ask for another Python
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    files = [number for number in range(MAX_FILES) if _is_open(number)]
    cwd = os.getcwd()  # noqa: PTH109 (importing pathlib takes as long as all the rest)
    interruptible = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # unlike a background job of a shell
    job = {
        "python": sys.argv[0],
        "words": words,
        "cwd": cwd,
        "environment": dict(os.environ),
        "files": files,
        "interruptible": interruptible,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        described = os.memfd_create("job")
        os.pwrite(described, json.dumps(job).encode(), 0)
        socket.send_fds(connection, [b"."], [described, *files])
        os.close(described)
        for number in FORWARDED:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        _end(connection.recv(16).decode())


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _end(code: str) -> None:
    """End with an exit code, or by a signal where it is below 0."""
    if not code:
        sys.exit("the server of forked processes has ended")
    if (number := -int(code)) > 0:
        signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
        os.kill(os.getpid(), number)
    os._exit(-number)
