"""Exit codes of the real command, as the reference lists them."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monai_app.cli import EXIT_CODES, STOPPED
from tests import warm
from tests.conftest import run_command


def faulty(folder: Path) -> str:
    """Write images of which two are alike."""
    (folder / "images").mkdir()
    plane = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    for z in range(8):
        tifffile.imwrite(folder / "images" / f"s_{z}.tif", plane if z in (3, 4) else np.roll(plane, z, 0))
    return "images"


@pytest.mark.parametrize(
    ("words", "code"), [("--version", 0), ("inspect images", 1), ("inspect --jsn images", 2), ("verify nowhere", 3)]
)
def test_codes_of_commands_that_end_by_themselves(words: str, code: int, tmp_path: Path) -> None:
    faulty(tmp_path)
    done = run_command("-m", "monai_app", *words.split(), cwd=tmp_path, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert code in EXIT_CODES


def test_a_fault_of_the_program_has_a_traceback() -> None:
    code = "from monai_app import cli\ncli.app = lambda **_: 1 / 0\ncli.main()"
    done = run_command("-c", code, check=False)
    assert (done.returncode, "ZeroDivisionError" in done.stderr) == (1, True)
    assert done.returncode in EXIT_CODES


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_command(stop: signal.Signals, tmp_path: Path) -> None:
    large = ["--slices", "100", "--rows", "400", "--columns", "400"]
    command = [warm.python(), "-m", "monai_app", "simulate", "sample", *large]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not [*tmp_path.iterdir()]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=60)
    assert errors == "monai-app: stopped; run the same command to start over\n"
    assert process.returncode == STOPPED
    assert STOPPED in EXIT_CODES
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = (
        "import os, signal\nfrom monai_app import cli\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "cli.app = lambda **_: os.kill(os.getpid(), signal.SIGINT)\ncli.main()"
    )
    assert run_command("-c", code).returncode == 0
