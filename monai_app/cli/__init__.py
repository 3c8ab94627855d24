"""The command line ``monai-app``: one thin module a command, no logic of its own.

Nothing here imports torch before a command runs, so that ``--help`` answers at once.
"""

import os
import sys

import typer

from monai_app.cli.export import export
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
from monai_app.errors import AppError
from monai_app.names import printable
from monai_app.storage import storage_error

app = typer.Typer(
    name="monai-app",
    help="Segment raw, two-detector FIB-SEM serial sections with MONAI bundles.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    *(simulate, init, ingest, inspect, annotate, annotations, propose),
    *(train, evaluate, study, segment, labels, view, quantify, report, save, export),
    *(package, check, unpack, trust, verify, serve, settings),
)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run the command line; what the user can mend is one clean message and exit code 2."""
    _escape_output()
    os.environ["MPLBACKEND"] = "agg"  # pictures go into files; a notebook's backend is often not to be had here
    try:
        app(prog_name="monai-app", color=True)  # else click drops colours from names where nobody sees them
    except AppError as error:
        _end(str(error), 2)
    except OSError as error:
        _end(str(storage_error(error)), 1)


def _end(message: str, code: int) -> None:
    print(printable(f"monai-app: {message}"), file=sys.stderr)
    sys.exit(code)


def _escape_output() -> None:
    """Show names from files and stores as text, whatever prints or logs them: terminals obey control characters."""
    write = sys.stdout.write
    sys.stdout.write = lambda text: write(printable(text))  # type: ignore[method-assign]
