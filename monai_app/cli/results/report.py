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
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, NAME.html.")],
    labels: Annotated[str | None, typer.Option(help="Label image, where the store has several.")] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="Print the page here too, NAME.pdf, by an installed browser.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Write one HTML page about a model, a stack and its quantities."""
    from monai_app.cli.progress import progress_bar
    from monai_app.reporting.page import write_page
    from monai_app.reporting.pdf import find_browser, print_pdf
    from monai_app.reporting.sources import read_sources
    from monai_app.stack.places import check_targets

    check_targets({".html": output, ".pdf": pdf}, overwrite=overwrite)
    if pdf is not None:
        find_browser()
    found = read_sources(sources, labels)
    with progress_bar("slices") as progress:
        write_page(found, output, progress)
    typer.echo(f"report: {output}")
    if pdf is not None:
        print_pdf(output, pdf)
        typer.echo(f"printed: {pdf}")
