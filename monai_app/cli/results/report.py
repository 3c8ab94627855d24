"""``monai-app report``."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Any of: run folder, store NAME.ome.zarr, folder of quantify, folder of study.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write, NAME.html.")],
    labels: Annotated[str | None, typer.Option(help="Label image, if the store has several.")] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="Also print the page to this file, NAME.pdf, with an installed browser.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Write one HTML page about a model, a stack and its quantities."""
    from monai_app.api.results import report as write_report
    from monai_app.cli.progress import progress_bar

    with progress_bar("report") as progress:
        write_report(*sources, output=output, labels=labels, pdf=pdf, overwrite=overwrite, progress=progress)
    typer.echo(f"report: {output}")
    if pdf is not None:
        typer.echo(f"printed: {pdf}")
