"""``monai-app inspect``."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from monai_app.cli.options import Json, renamed


def inspect(
    stack: Annotated[Path, typer.Argument(help="Store, sample.yaml, folder of images, or image file.")],
    json: Json = False,
    json_file: Annotated[Path | None, typer.Option(hidden=True)] = None,
    picture: Annotated[Path | None, typer.Option(help="Figure with slices, histograms and curves, NAME.png.")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page with all results, NAME.html.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace existing files.")] = False,
) -> None:
    """Find defects in a stack before labelling or training.

    The exit code is 1 if any are found.
    """
    from monai_app.cli.progress import progress_bar
    from monai_app.files import write_json
    from monai_app.inspection import inspect as inspect_images
    from monai_app.inspection import open_images
    from monai_app.inspection.report import as_document, text_lines
    from monai_app.stack.places import check_targets

    check_targets({".json": json_file, ".png": picture, ".html": page}, overwrite=overwrite)
    images = open_images(stack)
    with progress_bar("inspect") as progress:
        inspection = inspect_images(images, progress=progress)
    for line in [dumps(as_document(inspection), indent=2)] if json else text_lines(inspection):
        typer.echo(line)
    if json_file is not None:
        renamed("--json FILE", "--json > FILE")
        write_json(json_file, as_document(inspection))
    if picture is not None:
        from monai_app.inspection.picture import write_picture

        write_picture(inspection, picture)
    if page is not None:
        from monai_app.inspection.page import write_page

        write_page(inspection, page)
    if inspection.findings:
        raise typer.Exit(1)
