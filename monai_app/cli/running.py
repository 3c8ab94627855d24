"""What the commands share: printing the bundle command, and logging."""

from logging.config import fileConfig

import typer

from monai_app.bundle.command import BundleCommand
from monai_app.bundle.configs.templates import DEFAULT_BUNDLE, template_path


def show(command: BundleCommand) -> None:
    """Print the ``python -m monai.bundle run`` line."""
    typer.echo(f"$ {command}")


def log_to_console() -> None:
    """Log to standard output, as the bundles' runs do."""
    fileConfig(template_path(DEFAULT_BUNDLE) / "configs" / "logging.conf", disable_existing_loggers=False)
