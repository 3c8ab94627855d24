"""Forked processes behave as Pythons that are started."""

import contextlib
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
    assert (forked.args, forked.returncode, forked.stdout) == (started.args, started.returncode, started.stdout)
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


@pytest.mark.parametrize("words", [("-m", "here.script"), ("here/script.py",)], ids=["module", "script"])
def test_modules_and_scripts_find_what_lies_beside_them(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "script.py").write_text("import sys; print(__name__, __file__, sys.argv, sys.path)")
    forked, started = (run_command(*words, "a", cwd=tmp_path, fresh=fresh).stdout for fresh in (False, True))
    assert forked == started


def test_processes_draw_other_random_numbers(tmp_path: Path) -> None:
    code = "import random, numpy; print(random.random(), numpy.random.rand())"
    first, second = (run_command("-c", code).stdout.split() for _ in range(2))
    assert not set(first) & set(second)


def test_a_process_that_takes_too_long_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["-c", "import time; time.sleep(100)"], tmp_path, 0.3)
    assert run_command("-c", "print('next')").stdout == "next\n"


def test_a_failing_command_shows_what_it_said() -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    with pytest.raises(AssertionError, match=r"(?s)ended with 3:\none\n.*two"):
        run_command("-c", code)


def test_the_server_ends_when_the_process_of_the_tests_is_killed() -> None:
    code = """if True:
        import os
        from pathlib import Path
        from tests import warm
        warm.IMPORTED = ()
        print(warm.run(["-c", "import os; print(os.getppid())"], Path.cwd(), 60).stdout, flush=True)
        os.kill(os.getpid(), 9)
    """
    killed = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert killed.returncode == -9
    server = int(killed.stdout)
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(server).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
