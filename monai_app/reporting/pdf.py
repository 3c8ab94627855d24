"""A page as PDF, printed with an installed browser."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from monai_app.errors import ConfigError, FailedError
from monai_app.files import atomic_file
from monai_app.temporary import temporary_folder

BROWSER = "MONAI_APP_BROWSER"
"""The environment variable that names the browser: its path, or the name of a program."""

_PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
)

_SECONDS = 180.0
"""Timeout of the browser."""

_DRAWING_MS = 30_000
"""Time limit of scripts in milliseconds of the page's virtual clock."""


def find_browser() -> str:
    """Return the path of a browser that can print pages: Chromium, Chrome or Edge.

    Raises:
        ConfigError: there is none, or `BROWSER` does not name a program.
    """
    named = os.environ.get(BROWSER)
    if named:
        found = shutil.which(named)
        if found is None:
            raise ConfigError(
                f"{BROWSER} is {named!r}, which is not a program; give the path of Chromium, Chrome or Edge"
            )
        return found
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        raise ConfigError(
            "a PDF is printed with Chromium, Chrome or Edge, but none of them is on the PATH; install one, name it in "
            f"the environment variable {BROWSER}, or open the page in a browser and print it there"
        )
    return found


def print_pdf(page: Path, target: Path) -> None:
    """Print a page of one HTML file with its print style sheet after its scripts have finished.

    Args:
        page: the HTML file.
        target: the PDF file; an existing one is replaced.

    Raises:
        ConfigError: see `find_browser`.
        FailedError: the browser did not print, or took more than 3 minutes.
        StorageError: the disk is full or read-only.
    """
    program = find_browser()
    with temporary_folder("print") as folder:
        printed = folder / "page.pdf"
        command = [
            program,
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--no-pdf-header-footer",
            "--force-device-scale-factor=2",  # draw at print resolution
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # the sandbox does not work as root
            f"--user-data-dir={folder / 'profile'}",
            f"--virtual-time-budget={_DRAWING_MS}",
            f"--print-to-pdf={printed}",
            page.absolute().as_uri(),
        ]
        message = _run(command)
        if not printed.is_file():
            raise FailedError(
                f"{program} printed no PDF of {page}: {message}; open the page in a browser and print it there"
            )
        with atomic_file(target) as temporary:
            shutil.copyfile(printed, temporary)


def _run(command: list[str]) -> str:
    """Run a browser and end all its processes; return its last line of output, or its exit status."""
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    try:
        with subprocess.Popen(command, start_new_session=True, **pipes) as process:
            try:
                _, message = process.communicate(timeout=_SECONDS)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    except subprocess.TimeoutExpired:
        return f"it took more than {_SECONDS:.0f} s"
    except OSError as error:
        return str(error)
    return next(reversed(message.strip().splitlines()), f"it ended with {process.returncode}")
