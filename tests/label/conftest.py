"""A running label server on a copy of the tiny stack, and clients of it."""

import importlib
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import nibabel
import numpy as np
import psutil
import pytest
import requests

from monai_app.stack import Stack
from tests import warm
from tests.label.servers import Server, client_of, free_port, running, wait_for

if TYPE_CHECKING:
    from monai_app.label.app import StackApp

STORED = 8 * 2**20
"""Bytes that clients' volumes may take in the server of all tests."""


@dataclass(frozen=True)
class Served:
    """A server and the stack that it serves.

    Args:
        server: the server.
        stack: path of the stack.
        folder: the server's folder.
    """

    server: Server
    stack: Path
    folder: Path

    @property
    def client(self) -> Any:
        """MONAI Label's own client."""
        return client_of(self.server, self.folder.parent)

    def of_requests(self) -> list[Path]:
        """What requests keep in the server's folder: some of it goes only after the answer."""
        return list((self.folder / "temporary").iterdir())

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, f"{self.server.url}{path}", timeout=120, **options)


@contextmanager
def serving(stack: Path, home: Path, *words: object, python: str = sys.executable) -> Iterator[Served]:
    """Serve a stack with ``monai-app serve`` until the block ends; `warm.python` does where processes do not count."""
    port = free_port()
    command = [python, "-m", "monai_app", "serve", stack, "--port", port, *words]
    with running(command, port, home) as server:
        yield Served(server, stack, stack.with_name(stack.name.removesuffix(".ome.zarr") + ".label"))


@pytest.fixture(scope="session")
def served(
    tiny_stack: Stack, trained: Path, trained_sensor3d: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server of both networks; tests leave models and annotations as they are."""
    folder = tmp_path_factory.mktemp("served")
    stack = Path(shutil.copytree(tiny_stack.path, folder / "tiny.ome.zarr"))
    bundles = ("--bundle", trained, "--bundle", trained_sensor3d)
    limits = ("--max-upload", "2MiB", "--max-stored", STORED, "--waiting", 2)
    with serving(stack, folder / "home", *bundles, *limits, python=warm.python()) as found:
        yield found


def volume_of(content: bytes) -> nibabel.Nifti1Image:
    """A NIfTI file that a server sent, read by nibabel."""
    import gzip

    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def as_nifti(pixels: np.ndarray, affine: np.ndarray) -> BytesIO:
    """Pixels x, y, z as nibabel writes them."""
    import gzip

    return BytesIO(gzip.compress(nibabel.Nifti1Image(pixels, affine).to_bytes(), 1))


@cache
def long_volume() -> bytes:
    """A NIfTI file of many slices, whose labelling takes longer than a test."""
    return as_nifti(np.zeros((80, 96, 1500, 2), np.uint8), np.eye(4)).getvalue()


def begin_training(served: Served) -> None:
    """Start a training of the model "trained", and wait until its first epoch is saved."""
    assert served.ask("POST", "/train/trained").ok
    wait_for(lambda: "epoch 2/" in str(served.ask("GET", "/train/").json()["details"]))


def finished(served: Served, path: str) -> dict[str, Any]:
    """Work that was started, when it has ended."""
    wait_for(lambda: served.ask("GET", path).json()["status"] not in ("SUBMITTED", "RUNNING"), 300)
    found: dict[str, Any] = served.ask("GET", path).json()
    return found


def process_of(served: Served) -> psutil.Process:
    """The process of a server: the one that listens there."""
    port = urlsplit(served.server.url).port
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    (pid,) = {each.pid for each in listening if each.laddr and each.laddr.port == port}
    return psutil.Process(pid)


def open_files(process: psutil.Process) -> list[Path]:
    """What a process has open, files without a name too."""
    found = []
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            found.append(descriptor.readlink())
        except FileNotFoundError:
            continue
    return [path for path in found if path.is_absolute()]


def import_quietly() -> None:
    """MONAI Label and what it imports use what is deprecated; that is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("monai_app.label.serve")


def app_in(folder: Path, stack: Path, *bundles: Path) -> "StackApp":
    """An app that no server runs, which works in a folder."""
    import_quietly()
    from monai_app.label.app import StackApp
    from monai_app.label.settings import Settings, Workspace

    return StackApp(Settings(stack=str(stack), bundles=tuple(map(str, bundles))), Workspace(folder))


def done(work: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> Any:
    """What an app does where a server runs it: in a thread of an event loop."""
    with warm.started_by_libraries():
        return anyio.run(anyio.to_thread.run_sync, work, request)
