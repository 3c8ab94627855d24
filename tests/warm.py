"""Run commands in processes forked from one that has imported what they import.

Importing MONAI and what it loads takes seconds of computing, and the tests start some two hundred Pythons. So each
process of pytest keeps a server: a Python that has done these imports, and nothing else. For every command it forks a
process with arguments, folder, environment and output of its own, which runs it as Python runs ``-m MODULE``, ``-c
CODE`` or a script, and ends with its exit code, after exit handlers and flushing, as Python would.

What differs from a Python that was started: modules are there before anything imports them, all processes of a server
hash strings alike (sets have one order), and warnings of imports are not seen. Tests that these matter to start one.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMPORTED = (
    "monai.bundle",
    "torch.distributed.run",
    "torch.utils.tensorboard",
    "mlflow.tracking",
    "distributed",
    "monai_app.cli.running",
    "monai_app.bundle.packages.package",
    "monai_app.bundle.prepare",
    "monai_app.bundle.packages.verify",
    "monai_app.export",
    "monai_app.inference",
    "monai_app.phantom",
    "monai_app.training",
    "monai_app.transforms",
)
"""Modules that commands load, and that start no threads when they are imported."""

_NUMBER = struct.Struct("i")


def run(words: Sequence[str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run ``python WORDS`` in a forked process, as ``subprocess.run`` with ``capture_output`` does.

    Args:
        words: ``-m MODULE``, ``-c CODE`` or a script, and its arguments; no options of Python.
        cwd: folder in which it runs.
        timeout: seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it was killed.
    """
    return _server().run(words, cwd, timeout)


@functools.cache
def _server() -> "_Server":
    return _Server()


class _Server:
    """The server's process; it ends when its socket is closed, also by the death of this process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the server)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *IMPORTED],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )
        atexit.register(self._stop)

    def run(self, words: Sequence[str], cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
        with contextlib.ExitStack() as stack:
            job, out, err = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
            json.dump({"words": list(words), "cwd": str(cwd), "environment": dict(os.environ)}, job)
            job.flush()
            job.seek(0)
            socket.send_fds(self._socket, [b"."], [file.fileno() for file in (job, out, err)])
            code = self._wait(words, timeout)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([sys.executable, *words], code, out.read(), err.read())

    def _wait(self, words: Sequence[str], timeout: float) -> int:
        pid = self._receive(None)
        try:
            return self._receive(timeout)
        except BaseException as error:  # an interrupt too
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._receive(None)
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired([sys.executable, *words], timeout) from None
            raise

    def _receive(self, timeout: float | None) -> int:
        self._socket.settimeout(timeout)
        received = self._socket.recv(_NUMBER.size, socket.MSG_WAITALL)
        if len(received) < _NUMBER.size:
            self._said.seek(0)
            raise RuntimeError(f"the server of warm processes has ended:\n{self._said.read()}")
        (number,) = _NUMBER.unpack(received)
        return int(number)

    def _stop(self) -> None:
        self._socket.close()
        self._process.wait()
        self._said.close()


def _serve(connection: socket.socket, modules: Sequence[str]) -> dict[str, Any] | None:
    """Fork a process for every job and tell its pid and exit code; return the job in the forked one."""
    usual = signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Control-C reaches it too, but its end is the end of the tests
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # collections in forked processes leave these objects, and so their shared memory, alone
    while True:
        sent, files, _, _ = socket.recv_fds(connection, 1, 3)
        if not sent:
            return None
        pid = os.fork()
        if pid == 0:
            connection.close()
            signal.signal(signal.SIGINT, usual)
            return _begin(*files)
        for file in files:
            os.close(file)
        connection.sendall(_NUMBER.pack(pid))
        connection.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _begin(job_file: int, out: int, err: int) -> dict[str, Any]:
    """Give a forked process what a process of its own has."""
    import numpy as np

    with open(job_file, encoding="utf8") as file:
        job: dict[str, Any] = json.load(file)
    for own, standard in ((out, 1), (err, 2)):
        os.dup2(own, standard)
        os.close(own)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    np.random.seed()  # others seed themselves anew when a process is forked
    return job


class _Ending:
    """After threads and exit handlers have ended, leave at once: clearing the modules takes half a second."""

    code = 0

    def end(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.code)


def _run(words: Sequence[str]) -> int:
    """Do what ``python WORDS`` does, and return its exit code."""
    try:
        _execute(words)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _execute(words: Sequence[str]) -> None:
    kind, *rest = words
    if kind == "-m":
        name, *arguments = rest
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = [name, *arguments]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        code, *arguments = rest
        sys.path.insert(0, "")
        sys.argv = ["-c", *arguments]
        _execute_main(compile(code, "<string>", "exec"))
    else:
        assert not kind.startswith("-"), f"{kind}: options of Python need a Python that is started"
        script = Path(kind).absolute()
        sys.path.insert(0, str(script.resolve().parent))
        sys.argv = list(words)
        _execute_main(compile(script.read_bytes(), str(script), "exec"), str(script))


def _execute_main(code: types.CodeType, file: str | None = None) -> None:
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if file is not None:
        main.__file__ = file
    exec(code, main.__dict__)


if __name__ == "__main__":
    del sys.path[0]  # this folder, whose packages are called like others' modules
    ending = _Ending()
    atexit.register(ending.end)  # the first that is registered is the last to run
    # The forked process leaves the server's loop and comes to the end of this file, where Python waits for threads and
    # runs exit handlers as in any other.
    if (task := _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])) is not None:
        ending.code = _run(task["words"])
