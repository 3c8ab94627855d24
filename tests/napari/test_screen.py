"""The plugin in napari itself, on a screen that nobody sees: all of it runs in a process of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import warm

LOOP = Path(__file__).parent / "screen" / "loop.py"
OPTIONS = ("-p", "pytestqt.plugin", "-p", "napari.utils._testsupport", "-p", "no:xdist", "-o", "filterwarnings=ignore")
"""The plugins that setup.cfg leaves out under their usual names; what napari's dependencies warn of is theirs."""


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="no screen: tools/install-screen installs Xvfb")
def test_the_whole_loop_in_napari(tmp_path: Path) -> None:
    screen = ["xvfb-run", "--auto-servernum", "--server-args", "-screen 0 1280x800x24"]
    command = [*screen, warm.python(), "-m", "pytest", "-q", *OPTIONS, str(LOOP)]
    # Settings of the person who runs the tests have no say, and are not changed.
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment = {**os.environ, **own, "QT_API": "pyqt6", "WARM_PYTHON": warm.python()}
    for name in [name for name in environment if name.startswith(("PYTEST_", "COV_"))]:
        del environment[name]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert result.returncode == 0, f"{result.stdout[-12000:]}\n{result.stderr[-4000:]}"
    assert "1 passed" in result.stdout
