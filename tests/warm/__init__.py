"""A Python that has imported MONAI already, for the commands that tests run.

Importing MONAI and what it loads takes seconds of computing, and the tests run hundreds of commands. So all
processes of one run of pytest share a server, which has done these imports and nothing else. ``python()`` is a program
to call as one calls Python, with ``-m MODULE``, ``-c CODE`` or a script: it has the server fork a process that runs
with the caller's folder, environment and open files, passes signals on to it, and ends as it ends. The processes of
xdist, which share the tests, are forked so, too (tests/conftest.py).

What differs from a Python that was started: modules are there before anything imports them, all processes of a server
hash strings alike (sets have one order), warnings of imports are not seen, and MONAI has looked for the names of its
classes once and for all. Tests that these matter to start one.
"""

import functools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMPORTED = (
    "monai.bundle",
    "torch.distributed.run",
    "torch.utils.tensorboard",
    "torch._dynamo",
    "torch.export._trace",
    "onnxscript.function_libs.torch_lib.ops",
    "ome_zarr_models.v04",
    "ome_zarr_models.v05",
    "matplotlib.backends.backend_agg",
    "mlflow.tracking",
    "distributed",
    "monai_app.api.running",
    "monai_app.bundle.length.plan",
    "monai_app.bundle.packages.package",
    "monai_app.bundle.run_folder",
    "monai_app.bundle.packages.verify",
    "monai_app.cli",
    "monai_app.export",
    "monai_app.inference.inferers.volume",
    "monai_app.phantom",
    "monai_app.training.calibration",
    "monai_app.training.evaluation",
    "monai_app.training.handlers",
    "monai_app.training.seeding",
    "monai_app.transforms.deformation",
    "monai_app.transforms.slab",
)
"""Modules that commands load, and that start no threads when they are imported."""

_HERE = Path(__file__).parent


@functools.cache
def python() -> str:
    """Path of a program that stands for Python as long as the tests run."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    path = Path(folder.name) / "python"
    text = (_HERE / "client.py").read_text(encoding="utf8")
    path.write_text(f"#!{sys.executable} -IS\n{text}main({_address()!r})\n", encoding="utf8")
    path.chmod(0o755)
    _KEPT.append(folder)
    return str(path)


@contextmanager
def started_by_libraries() -> Iterator[None]:
    """Have what libraries start by ``sys.executable`` while the block runs, such as anyio's workers, be forked too."""
    kept, sys.executable = sys.executable, python()
    try:
        yield
    finally:
        sys.executable = kept


def _address() -> str:
    """Return where the server listens, and start it if no process of these tests has done so."""
    if name := os.environ.get(_NAME):
        return f"\0{name}"
    name = os.environ[_NAME] = f"monai-app-tests-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(100)
        words = [sys.executable, str(_HERE / "server.py"), str(listener.fileno()), str(os.getpid()), *IMPORTED]
        _KEPT.append(subprocess.Popen(words, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL))
    return f"\0{name}"


_NAME = "MONAI_APP_TESTS"
"""Variable with the name of the server's socket, for all processes that those of pytest start."""

_KEPT: list[object] = []
"""What lasts until this process ends."""
