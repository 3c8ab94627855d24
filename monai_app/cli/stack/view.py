"""``monai-app view``."""

import os
from typing import Annotated

import typer

from monai_app.cli.options import StackPath
from monai_app.errors import ConfigError


def view(
    stack: StackPath,
    labels: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Label image to show, or 'annotation'. May be repeated. [default: all]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port, up to 65535. [default: a free one]", show_default=False),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address without opening a browser.")
    ] = False,
    napari: Annotated[bool, typer.Option("--napari", help="Open napari instead of the browser.")] = False,
) -> None:
    """Show a stack and its labels in the browser or in napari.

    The browser shows Neuroglancer, which is served only to this machine.
    """
    from monai_app.stack import Stack

    opened = Stack.open(stack)
    if napari:
        if port is not None or no_browser:
            raise ConfigError("--napari opens a window and serves nothing; leave --port and --no-browser out")
        _check_installed("napari", "napari")
        _check_screen()
        from monai_app.viewer import window

        window.show(opened, labels)
        return
    _check_installed("neuroglancer", "view")
    from monai_app.viewer import server

    server.show(opened, labels, port or 0, browser=not no_browser, report=typer.echo)


def _check_installed(package: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise ConfigError(f"{package} is not installed: pip install 'monai-app[{extra}]'")


def _check_screen() -> None:
    """Refuse to open a window without a screen. A child process tries it, because Qt aborts a process that has none."""
    if not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))):
        raise ConfigError(
            "--napari needs a screen, and DISPLAY and WAYLAND_DISPLAY name none; leave --napari out and open the "
            "address that is printed"
        )
    import subprocess
    import sys

    trial = "from qtpy.QtGui import QGuiApplication; QGuiApplication([])"
    if subprocess.run([sys.executable, "-c", trial], capture_output=True, check=False).returncode:
        raise ConfigError(
            "--napari needs a screen, and Qt cannot use the one that is named (DISPLAY, WAYLAND_DISPLAY); log in "
            "there, or leave --napari out and open the address that is printed"
        )
