"""Progress of the commands: a bar on a terminal, lines in a file."""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from monai_app.cli import STOPPED
from monai_app.cli.progress import progress_bar
from monai_app.stack import Stack
from tests import warm
from tests.conftest import CHECKOUT, TINY, as_options


def test_only_one_module_makes_bars() -> None:
    files = (CHECKOUT / "monai_app").rglob("*.py")
    assert [path.name for path in files if "tqdm" in path.read_text(encoding="utf8")] == ["progress.py"]


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_app.progress.time.monotonic", iter(range(0, 100, 10)).__next__)
    with progress_bar("verify", "plane") as progress:
        progress(0, 4)
        progress(4, 4)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "verify: 4/4 planes, 2.5 s per plane, took 10 s\n"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_closes_its_bar_and_says_how_to_resume(
    stop: signal.Signals, tiny_stack: Stack, tmp_path: Path
) -> None:
    terminal, stderr = pty.openpty()
    fcntl.ioctl(stderr, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    settings = as_options({**TINY, "steps_per_epoch": 500})
    words = [warm.python(), "-m", "monai_app", "train", tiny_stack.path, tmp_path / "run", *settings, "--overwrite"]
    process = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=stderr)
    os.close(stderr)
    text, sent = "", False
    while data := _read(terminal):
        text += data
        if not sent and re.search(r"epoch 1/2: .* [1-9]\d*/500 \[", text):
            sent = True
            process.send_signal(stop)
    os.close(terminal)
    assert process.wait(timeout=60) == STOPPED
    assert "ERROR" not in text
    assert re.search(r"\r {60,}\rmonai-app: stopped; run the same command without --overwrite to resume\r\n\Z", text)


def test_a_segmentation_has_a_bar(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    own = shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    terminal, stderr = pty.openpty()
    fcntl.ioctl(stderr, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    words = [warm.python(), "-m", "monai_app", "segment", own, trained]
    process = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=stderr)
    os.close(stderr)
    text = ""
    while data := _read(terminal):
        text += data
    os.close(terminal)
    assert process.wait(timeout=60) == 0, text
    assert re.search(r"\rsegment: 100%\|.*\| (\d+\.\d)/\1 \[.*Mpixel", text), text
    assert "INFO segment:" not in text


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode()
    except OSError:  # the other side is closed
        return ""
