"""Logging of the commands, to standard error; only results go to standard output."""

import logging
from enum import Enum
from io import StringIO
from logging.config import fileConfig
from typing import Annotated, Literal

import typer

from monai_app.errors import ConfigError

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and results.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Also show the equivalent MONAI command and MONAI's log.")
]
ShowCommand = Annotated[bool, typer.Option("--verbose", "-v", help="Also show the equivalent MONAI command.")]


class Verbosity(Enum):
    """How much a command logs besides its results."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"

    @classmethod
    def of(cls, *, quiet: bool, verbose: bool) -> "Verbosity":
        """Return the verbosity that the options select.

        Raises:
            ConfigError: both are given.
        """
        if quiet and verbose:
            raise ConfigError("--quiet and --verbose are both given; give one of them")
        return cls.QUIET if quiet else cls.VERBOSE if verbose else cls.NORMAL

    def start(self) -> None:
        """Configure logging to standard error."""
        fileConfig(StringIO(self.config("stderr")), disable_existing_loggers=False)

    def show(self, command: object) -> None:
        """Show the ``python -m monai.bundle run`` command if ``--verbose`` is given."""
        if self is Verbosity.VERBOSE:
            typer.echo(f"$ {command}", err=True)

    def config(self, stream: Literal["stdout", "stderr"]) -> str:
        """Return a ``logging`` config file that logs to the stream."""
        from monai_app.api.logs import logging_config

        level = logging.WARNING if self is Verbosity.QUIET else logging.INFO
        return logging_config(level, stream, monai=self is Verbosity.VERBOSE)
