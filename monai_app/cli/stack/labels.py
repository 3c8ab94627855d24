"""``monai-app labels``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.cli.stack.table import show_table

if TYPE_CHECKING:
    from monai_app.stack import Stack


def labels(
    stack: Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr.")],
    remove: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Remove this label image and its maps, finished or not.")
    ] = None,
) -> None:
    """List the label images of a stack: the model, the slices and the maps of each; or remove some (see save too)."""
    from monai_app.stack import Stack
    from monai_app.stack.label_images.removing import remove_labels

    opened = Stack.open(stack)
    for name in remove or ():
        remove_labels(opened.path, name)
        typer.echo(f"removed: {name}")
    if not remove:
        _show(opened)


def _show(stack: "Stack") -> None:
    """Print a line for every label image."""
    from monai_app.stack.label_images.listing import label_images, unfinished_labels

    rows = [("name", "model", "weights", "slices", "rows", "columns", "maps")]
    for each in label_images(stack):
        y, x = ("all", "all") if each.region is None else (str(each.region.y), str(each.region.x))
        slices = f"{len(each.slices)} of {stack.shape[0]}"
        weights = "-" if each.weights_sha256 is None else each.weights_sha256[:12]
        rows.append((each.name, each.model or "-", weights, slices, y, x, ", ".join(each.maps) or "-"))
    unfinished = unfinished_labels(stack)
    if len(rows) > 1:
        show_table(rows)
    elif not unfinished:
        typer.echo("there are no label images")
    for name in unfinished:
        typer.echo(f"unfinished: {name}")
