"""Start a MONAI Label server as a process of its own, wait until it answers, and stop it."""

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.conftest import CHECKOUT

START_SECONDS = 120.0
STOP_SECONDS = 20.0

STOCK_PATH = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / ".venv" / "stock")])
"""PYTHONPATH of MONAI Label's own app: tools/environment puts torchvision aside, which nothing else needs."""


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        url: its address.
        log: file of everything that it says.
    """

    url: str
    log: Path

    def said(self) -> str:
        """What the server has said so far."""
        return self.log.read_text(encoding="utf8", errors="replace")


@contextmanager
def running(
    command: Sequence[object], port: int, home: Path, cwd: Path | None = None, **variables: str
) -> Iterator[Server]:
    """Run a server until the block ends.

    Args:
        command: the command line.
        port: where the command makes it listen, on 127.0.0.1.
        home: an empty folder for whatever it keeps (sessions, caches) and for its log.
        cwd: where the command is run; ``home`` where None.
        variables: of the environment, besides those that are set here.
    """
    home.mkdir(parents=True, exist_ok=True)
    server = Server(f"http://127.0.0.1:{port}", home / "server.log")
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd or home,
            env=_environment(home, variables),
        )
    try:
        _wait_until_it_answers(process, server)
        yield server
    finally:
        _stop(process)


def monailabel(*words: object) -> list[str]:
    """The command line of MONAI Label's own program.

    Not by its script, which puts the folder above the environment, where another checkout may lie, on Python's path.
    """
    return [sys.executable, "-m", "monailabel.main", *(str(word) for word in words)]


def client_of(server: Server, folder: Path) -> Any:
    """MONAI Label's own client; what it receives is put into a folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports cgi
        from monailabel.client import MONAILabelClient

    return MONAILabelClient(server.url, tmpdir=str(folder))


def answers(url: str) -> bool:
    """Whether a server is there, also one that asks who wants to know."""
    try:
        return requests.get(f"{url}/info/", timeout=10).status_code in (200, 401)
    except requests.RequestException:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it does not come to hold in {seconds} s"
        time.sleep(0.1)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(home: Path, variables: Mapping[str, str]) -> dict[str, str]:
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MONAI_LABEL_")}
    own = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }
    return {**kept, **own, **variables}


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", server: Server) -> None:
    try:
        wait_for(lambda: answers(server.url) or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, f"it ended with {process.poll()}"
    except AssertionError as error:
        tail = "\n".join(server.said().splitlines()[-40:])
        raise AssertionError(f"{process.args!r}: {error}:\n{tail}") from None


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
