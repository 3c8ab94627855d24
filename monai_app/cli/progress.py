"""Progress on the command line."""

from contextlib import AbstractContextManager
from functools import partial

import typer

from monai_app.progress import Progress, shown_progress


def progress_bar(task: str, unit: str = "slice") -> AbstractContextManager[Progress]:
    """Show progress on standard error, see `shown_progress`; ``unit`` is counted."""
    return shown_progress(task, unit, partial(typer.echo, err=True))
