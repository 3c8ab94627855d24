"""Forked processes behave as Pythons that are started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import warm
from tests.conftest import CHECKOUT, run_command

ENDS = {
    "nothing": "pass",
    "exit": "import sys; print('out'); sys.exit(7)",
    "exit without a code": "import sys; sys.exit()",
    "exit with a text": "import sys; sys.exit('why')",
    "error": "raise ValueError('what')",
    "signal": "import os; os.kill(os.getpid(), 9)",
    "thread and exit handler": (
        "import atexit, threading, time\natexit.register(print, 'bye')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()"
    ),
    "where it is": "import os, sys; print(os.getcwd(), sys.argv, sys.path, __name__, os.environ['OWN'])",
    "handlers": "import signal; print([signal.getsignal(number) for number in (2, 13, 15, 17)])",
    "main": "import sys\ndef f(): pass\nprint(sys.modules['__main__'].f.__module__, sys.flags)",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_code_does_what_it_does_in_a_started_python(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "mine")
    forked, started = (
        run_command("-c", code, "a", "b c", check=False, cwd=tmp_path, fresh=fresh) for fresh in (False, True)
    )
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


@pytest.mark.parametrize("words", [("-m", "here.script"), ("-u", "here/script.py")], ids=["module", "script"])
def test_modules_and_scripts_find_what_lies_beside_them(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "script.py").write_text("import sys; print(__name__, __file__, sys.argv, sys.path)")
    forked, started = (run_command(*words, "a", cwd=tmp_path, fresh=fresh).stdout for fresh in (False, True))
    assert forked == started


def test_processes_draw_other_random_numbers(tmp_path: Path) -> None:
    code = "import random, numpy; print(random.random(), numpy.random.rand())"
    first, second = (run_command("-c", code).stdout.split() for _ in range(2))
    assert not set(first) & set(second)


def test_processes_that_a_process_starts_are_forked_too() -> None:
    """With the files that they inherit."""
    code = """if True:
        import multiprocessing, subprocess, sys
        subprocess.run([sys.executable, "-u", "-c", "import sys; print(sys.executable)"])
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        context.Process(target=exec, args=("import sys; queue.put(sys.executable)", {"queue": queue})).start()
        print(queue.get())
    """
    assert run_command("-c", code).stdout.split() == [warm.python()] * 2


def begin(code: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """Run code that waits after it, and return its client and the process that was forked."""
    code = f"import os, signal, time\n{code}\nprint(os.getpid(), flush=True)\ntime.sleep(100)"
    client = subprocess.Popen([warm.python(), "-c", code], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    return client, psutil.Process(int(client.stdout.readline()))


def test_a_signal_is_passed_on_and_the_client_ends_by_it() -> None:
    for code, expected in (("", -signal.SIGTERM), ("signal.signal(15, lambda *_: os._exit(5))", 5)):
        client, _ = begin(code)
        with client:
            client.terminate()
            assert client.wait(20) == expected


def test_a_process_ends_when_its_client_is_killed() -> None:
    client, forked = begin("")
    with client:
        client.kill()
        assert psutil.wait_procs([forked], timeout=20)[1] == []


def test_the_server_ends_with_the_process_of_the_tests() -> None:
    code = """if True:
        import os, subprocess
        from tests import warm
        warm.IMPORTED = ()
        subprocess.run([warm.python(), "-c", "import os; print(os.getppid())"])
        os.kill(os.getpid(), 9)
    """
    environment = {name: value for name, value in os.environ.items() if name != "MONAI_APP_TESTS"}
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(int(killed.stdout)).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
