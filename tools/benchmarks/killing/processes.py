"""Commands that are killed: at a moment in time, or just before the n-th time that they open, name or remove a file."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

LONGEST = 300.0
"""Seconds after which a command counts as hanging."""

_CODE = """
import atexit, os, runpy, signal, sys
last, counted, armed = (os.environ.pop(name, "") for name in ("KILL_AT", "KILL_COUNT", "KILL_ARMED"))
last, me = int(last or 0), os.getpid()
names = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "ctypes.dlsym"}
count = 0

def changes(event, values):
    if event == "open":
        mode = values[1]
        return any(each in mode for each in "wax+") if mode else values[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return event in names

def hook(event, values):
    global count
    if changes(event, values) and os.getpid() == me and (not armed or os.path.exists(armed)):
        count += 1
        if count == last:
            os.kill(me, signal.SIGKILL)

def tell():
    if counted and os.getpid() == me:
        with open(counted, "w") as file:
            file.write(str(count))

sys.addaudithook(hook)
atexit.register(tell)
if sys.argv[1] == "-m":
    _, name = sys.argv.pop(1), sys.argv.pop(1)
    runpy.run_module(name, run_name="__main__", alter_sys=True)
else:
    code = sys.argv[2]
    exec(compile(code, "<command>", "exec"), {"__name__": "__main__"})
"""

ARMED = "KILL_ARMED"
"""Environment variable with a file: what is changed before it exists is not counted."""

_SUBREAPER = 36
"""What `prctl` calls the process to which children fall whose parents have died."""


@dataclass(frozen=True)
class Moment:
    """When a command is killed.

    Args:
        kind: "time", in seconds after the begin, or "file", before the value-th change of a file.
        value: the moment.
    """

    kind: str
    value: float


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        code: its exit code, below 0 for a signal.
        said: what it wrote, both streams.
        seconds: how long it ran.
        changes: how often it changed files; 0 where it was killed.
    """

    code: int
    said: str
    seconds: float
    changes: int = 0


class Processes:
    """Starts commands by a Python, and ends all that belongs to them; the server that forks them stays."""

    def __init__(self, python: str) -> None:
        self._python = python
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        self._kept = {each.pid for each in psutil.Process().children(recursive=True)}

    def start(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        moment: Moment | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a command."""
        counted = log.with_suffix(".count")
        counted.unlink(missing_ok=True)
        variables = {**environment, "KILL_COUNT": str(counted)}
        if moment is not None and moment.kind == "file":
            variables["KILL_AT"] = str(int(moment.value))
        with log.open("wb") as said:
            return subprocess.Popen(
                [self._python, "-c", _CODE, *words],
                cwd=folder,
                env=variables,
                stdout=said,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def run(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        moment: Moment | None = None,
    ) -> Ended:
        """Run a command to its end, or until it is killed with all processes that it started."""
        begin = time.perf_counter()
        process = self.start(words, folder, environment, log, moment)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment.value if moment is not None and moment.kind == "time" else LONGEST)
        self.kill(lambda: process.poll() is None)
        seconds = time.perf_counter() - begin
        return Ended(process.returncode, log.read_text(errors="replace"), seconds, self.changes(log))

    def changes(self, log: Path) -> int:
        """How often the last command changed files, if it ended by itself."""
        counted = log.with_suffix(".count")
        return int(counted.read_text() or 0) if counted.exists() else 0

    def kill(self, more: Callable[[], bool] = lambda: False) -> None:
        """Kill all processes that are not the server, until there is none."""
        deadline = time.monotonic() + 30
        while (found := self._family()) or more():
            for each in found:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
            _, alive = psutil.wait_procs(found, timeout=0.2)
            if alive and time.monotonic() > deadline:
                raise RuntimeError(f"{alive} cannot be killed")

    def _family(self) -> list[psutil.Process]:
        """Every process below this one but the server, those first that were started first."""
        found = [each for each in psutil.Process().children(recursive=True) if each.pid not in self._kept]
        alive = []
        for each in found:
            with suppress(psutil.NoSuchProcess):
                if each.status() != psutil.STATUS_ZOMBIE:
                    alive.append(each)
                elif each.ppid() == os.getpid():
                    with suppress(psutil.TimeoutExpired):
                        each.wait(0)
        return alive
