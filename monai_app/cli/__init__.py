"""The command line ``monai-app``: one thin module per command, without logic.

Nothing here imports torch before a command runs, which keeps ``--help`` fast.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from monai_app import __version__
from monai_app.cli.export import export
from monai_app.cli.help import Command, Commands
from monai_app.cli.package import check, package, trust, unpack, verify
from monai_app.cli.results.evaluate import evaluate
from monai_app.cli.results.quantify import quantify
from monai_app.cli.results.report import report
from monai_app.cli.results.study import study
from monai_app.cli.segment import segment
from monai_app.cli.serve import serve
from monai_app.cli.settings import settings
from monai_app.cli.stack.annotate import annotate
from monai_app.cli.stack.annotations import annotations
from monai_app.cli.stack.ingest import ingest
from monai_app.cli.stack.init import init
from monai_app.cli.stack.inspect import inspect
from monai_app.cli.stack.labels import labels, save
from monai_app.cli.stack.propose import propose
from monai_app.cli.stack.simulate import simulate
from monai_app.cli.stack.view import view
from monai_app.cli.train import train
from monai_app.errors import REFUSED, AppError, SignalError
from monai_app.names import printable
from monai_app.storage import storage_error


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"monai-app {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="monai-app",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SECTIONS = {
    "Make a stack": (simulate, init, ingest, inspect),
    "Label slices": (annotate, annotations, propose),
    "Train and score models": (train, evaluate, study, settings),
    "Segment and measure": (segment, labels, view, quantify, report),
    "Share and serve models": (export, package, unpack, check, trust, serve),
    "Check files": (verify,),
}
"""Title of a section of ``--help`` -> its commands, in the order of work."""

COMMANDS = tuple(command for commands in SECTIONS.values() for command in commands)

RESUMED = ("train", "study", "segment")
"""Commands that resume after an interruption, as does ``evaluate --leave-one-out``. The others start over."""

for title, commands in SECTIONS.items():
    for command in commands:
        app.command(cls=Command, rich_help_panel=title)(command)
app.command(cls=Command, hidden=True)(save)

STOPPED = 130
"""Exit code after Ctrl-C or another signal to stop."""

EXIT_CODES = {
    0: "The command is done.",
    1: "`inspect`, `verify` or `check` found faults, or `trust` was not confirmed. With a traceback: a fault of the "
    "program itself.",
    2: "An option or argument is misspelt, missing or of another type.",
    REFUSED: "The command is refused, or failed: the message names the value, the rule and the remedy.",
    STOPPED: "A signal stopped the command (Ctrl-C, SIGTERM): the message says whether it can be resumed. "
    "`serve` and `view`, which run until then, end with 0.",
}
"""Exit code -> its meaning."""


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Segment raw, two-detector FIB-SEM serial sections with MONAI bundles."""


def main() -> None:
    """Run the command line; an error becomes one message and an exit code."""
    _escape_output()
    os.environ["MPLBACKEND"] = "agg"  # pictures go into files; a notebook's backend is often not installed
    try:
        with _stopped_by_signals():
            app(prog_name="monai-app", color=True)  # otherwise click strips escape sequences from names
    except SignalError as error:
        _end(str(error), STOPPED)
    except AppError as error:
        _end(str(error), REFUSED)
    except OSError as error:
        _end(str(storage_error(error)), REFUSED)
    except SystemExit as ended:
        if ended.code == STOPPED:
            _end(_stopped(*sys.argv[1:]), STOPPED)
        raise


def _stopped(command: str, *words: str) -> str:
    """Return the message for a command that the user stopped."""
    if command == "train" and "--overwrite" in words:  # which would remove the weights trained so far
        return "stopped; run the same command without --overwrite to resume"
    if command in RESUMED or "--leave-one-out" in words:
        return "stopped; run the same command to resume"
    return "stopped; run the same command to start over"


class _Signal(KeyboardInterrupt):
    """A signal to stop. Python kills a process in which `eval` raised `KeyboardInterrupt` itself, as MONAI's may."""


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the body alike, unless the process that started this one has it ignore them."""

    def stop(*_: object) -> None:
        raise _Signal

    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    own = [number for number, handler in defaults.items() if signal.getsignal(number) is handler]
    before = {number: signal.signal(number, stop) for number in own}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(message: str, code: int) -> None:
    print(f"monai-app: {message}", file=sys.stderr)
    sys.exit(code)


def _escape_output() -> None:
    """Escape control characters in everything printed or logged: names come from files, and terminals obey them."""
    for stream in (sys.stdout, sys.stderr):
        stream.write = _escaping(stream.write)  # type: ignore[method-assign]


def _escaping(write: Callable[[str], int]) -> Callable[[str], int]:
    """Return a ``write`` that escapes control characters, except carriage returns, which progress bars need."""
    return lambda text: write("\r".join(map(printable, text.split("\r"))))
