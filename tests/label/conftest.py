"""A running label server on a copy of the tiny stack, and clients of it."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import requests

from monai_app.stack import Stack
from tests.label.servers import Server, client_of, free_port, running

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

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, f"{self.server.url}{path}", timeout=120, **options)


@contextmanager
def serving(stack: Path, home: Path, *words: object, **variables: str) -> Iterator[Served]:
    """Serve a stack with ``monai-app serve`` until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "monai_app", "serve", stack, "--port", port, *words]
    with running(command, port, home, **variables) as server:
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
    with serving(stack, folder / "home", *bundles, *limits) as found:
        yield found


def volume_of(content: bytes) -> nibabel.Nifti1Image:
    """A NIfTI file that a server sent, read by nibabel."""
    import gzip

    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def as_nifti(pixels: np.ndarray, affine: np.ndarray) -> BytesIO:
    """Pixels x, y, z as nibabel writes them."""
    import gzip

    return BytesIO(gzip.compress(nibabel.Nifti1Image(pixels, affine).to_bytes(), 1))


def begin_training(served: Served) -> None:
    """Start a training of the model "trained", and wait until its first epoch is over."""
    assert served.ask("POST", "/train/trained").ok
    wait_for(lambda: "epoch 1/" in str(served.ask("GET", "/train/").json()["details"]))


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.2)
