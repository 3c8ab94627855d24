"""``monai-app quantify``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.cli.options import Json, StackPath, X, Y, Z


def quantify(
    stack: StackPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for numbers, tables and figures.")],
    labels: Annotated[str, typer.Option(help="Label image to measure.")],
    z: Z = None,
    y: Y = None,
    x: X = None,
    mask: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="Image file or label image; only pixels above 0 are measured."),
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(help="Measure to compute. May be repeated. [default: all]")
    ] = None,
    tortuosity: Annotated[
        str | None, typer.Option(metavar="PHASE", help="Also measure the tortuosity of this phase.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing result.")] = False,
    json: Json = False,
) -> None:
    """Quantify the phases: fractions, surfaces, connectivity, sizes."""
    from monai_app.api.results import quantify as measure_labels
    from monai_app.cli.progress import progress_bar
    from monai_app.quantities.report.folder import DOCUMENT
    from monai_app.quantities.report.text import text_lines

    quantities = measure_labels(
        stack,
        labels,
        output=output,
        z=z,
        y=y,
        x=x,
        mask=mask,
        measures=measure,
        tortuosity=tortuosity,
        overwrite=overwrite,
        progress=lambda name: progress_bar(name, "step"),
    )
    if json:
        typer.echo((output / DOCUMENT).read_text(encoding="utf8").rstrip())
        return
    for line in text_lines(quantities.found):
        typer.echo(line)
    typer.echo(f"quantities: {output}")
