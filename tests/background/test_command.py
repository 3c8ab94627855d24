"""Our command line in a process: its errors, and stopping it from another thread."""

import sys
import threading
import time
from pathlib import Path

import pytest

from monai_app.background import child, command
from monai_app.background.command import StoppableCommand
from monai_app.errors import ConfigError, StoppedError
from tests import warm


@pytest.fixture(autouse=True)
def _code_instead_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "COMMAND", (sys.executable, "-S", "-c"))


def test_a_stopped_command_ends_its_process_and_begins_none_any_more(tmp_path: Path) -> None:
    started, left = tmp_path / "started", tmp_path / "left"
    code = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(30); open({str(left)!r}, 'w')"
    run = StoppableCommand()

    def stop() -> None:
        while not started.exists():
            time.sleep(0.01)
        run.stop()

    threading.Thread(target=stop).start()
    begun = time.monotonic()
    with pytest.raises(StoppedError, match=r"was stopped$"):
        run([code], tmp_path / "log")
    assert time.monotonic() - begun < 25
    started.unlink()
    with pytest.raises(StoppedError):
        run([code], tmp_path / "log")
    assert not started.exists()
    assert not left.exists()


def test_what_the_user_can_mend_comes_back_as_an_error(tmp_path: Path) -> None:
    code = "import sys; print('monai-app: epochs 0: must be 1 or more', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ConfigError, match=r"^epochs 0: must be 1 or more$"):
        StoppableCommand()([code], tmp_path / "log")


def test_what_the_command_line_refuses_comes_back_as_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "COMMAND", (warm.python(), *child.COMMAND[1:]))
    with pytest.raises(ConfigError, match=r"is not a run folder"):
        StoppableCommand()(["evaluate", str(tmp_path / "no_stack"), str(tmp_path)], tmp_path / "log")


def test_what_a_command_says_is_added_to_its_log(tmp_path: Path) -> None:
    for text in ("one", "two"):
        StoppableCommand()([f"print({text!r})"], tmp_path / "log")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
