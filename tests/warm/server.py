"""The server: imports what commands import, then forks a process for every client until the tests end."""

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MAX_FILES = 253
"""As many as Linux sends in one message."""


class _Job(NamedTuple):
    """A forked process, the client that it works for, and a file that can be read when it has ended."""

    pid: int
    client: socket.socket
    ended: int


def serve(listener: socket.socket, tests: int) -> list[int]:
    """Fork a process for every client, pass its signals on, and tell its exit code; kill it when its client is gone.

    Returns:
        In a forked process, the files that its client sent; the server itself ends with the process ``tests``.
    """
    events = selectors.DefaultSelector()
    events.register(listener, selectors.EVENT_READ)
    events.register(os.pidfd_open(tests), selectors.EVENT_READ)
    while True:
        key, _ = events.select()[0]
        job: _Job | None = key.data
        if key.fileobj is listener:
            client, _ = listener.accept()
            _, files, _, _ = socket.recv_fds(client, 1, MAX_FILES)
            if (pid := os.fork()) == 0:
                _close(events)
                client.close()
                return files
            for file in files:
                os.close(file)
            job = _Job(pid, client, os.pidfd_open(pid))
            events.register(job.client, selectors.EVENT_READ, job)
            events.register(job.ended, selectors.EVENT_READ, job)
        elif job is None:
            os._exit(0)
        elif key.fileobj is job.client:
            if not (sent := job.client.recv(1)):
                events.unregister(job.client)
            os.kill(job.pid, sent[0] if sent else signal.SIGKILL)
        else:
            _finish(job, events)


def _close(events: selectors.BaseSelector) -> None:
    """Close what is the server's alone."""
    for key in list(events.get_map().values()):
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
        else:
            os.close(key.fd)
    events.close()


def _finish(job: _Job, events: selectors.BaseSelector) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(job.pid, 0)[1])
    with contextlib.suppress(OSError):  # its client may be gone
        job.client.send(str(code).encode())
    with contextlib.suppress(KeyError):
        events.unregister(job.client)
    job.client.close()
    events.unregister(job.ended)
    os.close(job.ended)


def _begin(received: Sequence[int]) -> list[str]:
    """Give a forked process what its client has, and return the words of its command line."""
    import numpy as np

    described, *files = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 200) for file in received]
    for file in received:
        os.close(file)
    job = json.loads(Path(f"/proc/self/fd/{described}").read_text(encoding="utf8"))
    for given, number in zip(files, job["files"], strict=True):
        os.dup2(given, number)
        os.close(given)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    tempfile.tempdir = None  # where this folder is depends on the environment
    sys.executable = job["python"]  # so that what this process starts is forked too
    multiprocessing.set_executable(sys.executable)
    if job["interruptible"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # for those who ask for -u
    np.random.seed()  # others seed themselves anew when a process is forked
    words: list[str] = job["words"]
    return words


class _Ending:
    """After threads and exit handlers have ended, leave at once: clearing the modules takes half a second."""

    code = 0

    def end(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if not stream.closed:
                stream.flush()
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


def _read_bundles() -> None:
    """Parse the configs of the package's own bundles, which forked processes look at again and need not parse."""
    from monai_app.bundle.configs.templates import template_paths
    from monai_app.bundle.configs.trust import check_trusted
    from monai_app.yamlfile import read_yaml

    for template in template_paths():
        check_trusted(template)
        read_yaml(template / "configs" / "train.yaml")


def _remember_names() -> None:
    """Have MONAI look through its modules for names of classes once, and not again for every parser of a config.

    A module that is imported later has them looked through again.
    """
    from monai.bundle import ComponentLocator

    find = ComponentLocator.get_component_module_name

    @functools.cache
    def locator(excludes: tuple[str, ...], modules: int) -> ComponentLocator:
        return ComponentLocator(excludes)

    @functools.cache
    def count(modules: int) -> int:
        return sum(module.startswith(ComponentLocator.MOD_START) for module in list(sys.modules))

    def remembered(self: ComponentLocator, name: str) -> list[str] | str | None:
        return find(locator(tuple(self.excludes), count(len(sys.modules))), name)

    ComponentLocator.get_component_module_name = remembered  # type: ignore[method-assign]
    ComponentLocator().get_component_module_name("Compose")


if __name__ == "__main__":
    del sys.path[0]  # this folder, whose modules are called like others'
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C reaches it too, but its end is the end of the tests
    for module in sys.argv[3:]:
        importlib.import_module(module)
    if sys.argv[3:]:
        _read_bundles()
        _remember_names()
    gc.collect()
    gc.freeze()  # collections in forked processes leave these objects, and so their shared memory, alone
    ending = _Ending()
    atexit.register(ending.end)  # the first that is registered is the last to run
    # A forked process leaves the server's loop and comes to the end of this file, where Python waits for threads and
    # runs exit handlers as in any other.
    ending.code = _run(_begin(serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))))
