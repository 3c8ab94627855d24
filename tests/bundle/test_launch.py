"""Several processes end together, and one message says why."""

import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from torch.distributed.elastic.multiprocessing import SignalException

from monai_app.bundle.launch import check_processes, launch
from monai_app.errors import BusyError, ConfigError, StoppedError
from tests import warm

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::UserWarning",
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

LAUNCHER = """if True:
    import os, sys
    from monai_app.bundle.launch import launch
    sys.executable = sys.argv[1]
    print(os.getpid(), flush=True)
    try:
        launch(["-c", sys.argv[2]], 2)
    except BaseException as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""
"""Launches two Pythons that are started, so that they are its children."""

WAIT = "import os, signal, time; from pathlib import Path; rank = os.environ['RANK']\n{}\ntime.sleep(100)"


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    """The launcher leaves files to the garbage collector, which must not tell the next test of them."""
    yield
    gc.collect()


def test_all_processes_run_the_command_and_know_each_other(tmp_path: Path) -> None:
    write = "import os, sys; open(sys.argv[1] + os.environ['RANK'], 'w').write(os.environ['WORLD_SIZE'])"
    launch(["-c", write, f"{tmp_path}/rank"], 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"rank0": "2", "rank1": "2"}


def test_an_error_of_one_ends_all_and_is_told_as_it_is() -> None:
    begun = time.monotonic()
    fail = "from monai_app.errors import BusyError\nif rank == '0': raise BusyError('runs/a is being trained')"
    with pytest.raises(BusyError, match=r"^runs/a is being trained$"):
        launch(["-c", WAIT.format(fail)], 2)
    assert time.monotonic() - begun < 50


def test_a_killed_one_is_named_although_others_fail_when_they_lose_it(tmp_path: Path) -> None:
    there = f"Path('{tmp_path}/there')"
    kill = f"if rank == '1': {there}.touch(); os.kill(os.getpid(), signal.SIGKILL)\nwhile not {there}.exists(): pass\n"
    with pytest.raises(
        StoppedError,
        match=r"^process 2 of 2, pid \d+, was killed by SIGKILL .*; run .*, without --overwrite, to resume$",
    ):
        launch(["-c", WAIT.format(kill + "raise RuntimeError('connection lost')")], 2)


def test_an_unforeseen_error_keeps_its_report() -> None:
    with pytest.raises(StoppedError, match=r"process 1 of 2.*ZeroDivisionError: .*full reports") as caught:
        launch(["-c", WAIT.format("if rank == '0': 1 / 0")], 2)
    logs = Path(re.findall(r"full reports: ([^\s)]+)", str(caught.value))[0])
    assert any("Traceback" in path.read_text() for path in logs.rglob("stderr.log"))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_launcher_stops_all(stop: signal.Signals) -> None:
    command = [warm.python(), "-c", LAUNCHER, sys.executable, WAIT.format("os.write(1, b'here\\n')")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    launcher = psutil.Process(int(process.stdout.readline()))
    assert [process.stderr.readline() for _ in range(2)] == ["here\n"] * 2
    children = launcher.children(recursive=True)
    assert len(children) == 2
    launcher.send_signal(stop)
    _, told = process.communicate(timeout=60)
    assert "KeyboardInterrupt: " in told
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_a_signal_while_processes_are_started_stops_those_that_were(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupted(*_: object) -> None:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]).pid)
        raise SignalException("stopped", signal.SIGTERM)

    monkeypatch.setattr("torch.distributed.elastic.multiprocessing.start_processes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        launch(["-c", "pass"], 2)
    assert not psutil.pid_exists(started[0])


def test_the_callers_signal_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    launch(["-c", "pass"], 1)
    assert signal.getsignal(signal.SIGTERM) == before


def test_processes_meet_in_a_file_and_listen_on_the_loopback_interface_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", warm.python())
    launch(["-m", "tests.training.meet", str(tmp_path), str(os.getpid())], 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("rank0", "rank1"), "2 [[], ['127.0.0.1']]"
    )


@pytest.mark.parametrize(("processes", "message"), [(0, "must be 1 or more"), (3, "this machine has 2 GPUs")])
def test_numbers_of_processes_that_cannot_be_are_refused(
    processes: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ConfigError, match=message):
        check_processes(processes)
    check_processes(2)
