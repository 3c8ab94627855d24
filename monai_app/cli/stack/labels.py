"""``monai-app labels`` and ``save``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monai_app.cli.options import Json, StackPath, X, Y, Z, renamed
from monai_app.cli.stack.exporting import Map, Overwrite, Phase, export_labels
from monai_app.cli.stack.table import show_table
from monai_app.errors import ConfigError

if TYPE_CHECKING:
    from monai_app.stack import Stack

_TARGETS = "a folder, .tif, .ome.tif, .nii.gz, .seg.nrrd, .nrrd, .mha, .h5, .mrc, or a mesh, .ply, .stl, .obj, .vtp"


def labels(
    stack: StackPath,
    action: Annotated[Literal["list", "export", "remove"], typer.Argument(help="Action.")] = "list",
    name: Annotated[str | None, typer.Argument(help="Label image to export or remove.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=f"Export to: {_TARGETS}."),
    ] = None,
    map: Map = None,
    phase: Phase = None,
    z: Z = None,
    y: Y = None,
    x: X = None,
    level: Annotated[
        int | None,
        typer.Option(help="Resolution level of a mesh; 0 is full resolution. [default: by its number of voxels]"),
    ] = None,
    smooth: Annotated[bool | None, typer.Option(help="Smooth a mesh. [default: smooth]")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """List, export or remove the label images of a stack."""
    from monai_app.stack import Stack
    from monai_app.stack.label_images.removing import remove_labels

    given = (output, map, phase, z, y, x, level, smooth, overwrite or None)
    if action != "export" and any(option is not None for option in given):
        raise ConfigError(f"labels STACK {action}: its options apply to export; leave them out")
    if action != "list" and as_json:
        raise ConfigError(f"labels STACK {action}: --json applies to list; leave it out")
    if action == "list" and name is not None:
        raise ConfigError(f"labels STACK list: {name!r} is one name too many; leave it out")
    if action != "list" and name is None:
        raise ConfigError(f"labels STACK {action}: no label image is named; write {action} NAME")
    opened = Stack.open(stack)
    if action == "list":
        show = _show_json if as_json else _show
        show(opened)
    elif action == "remove":
        remove_labels(opened.path, str(name))
        typer.echo(f"removed: {name}")
    elif output is None:
        raise ConfigError(f"labels STACK export {name}: no target is named; give -o FILE or -o FOLDER")
    else:
        part = (z, y, x)
        export_labels(
            opened, str(name), output, map=map, phase=phase, part=part, level=level, smooth=smooth, overwrite=overwrite
        )


def save(
    stack: StackPath,
    target: Annotated[Path, typer.Argument(help=f"What to write: {_TARGETS}.")],
    labels: Annotated[str, typer.Option(help="Label image to save, or annotation.")],
    map: Map = None,
    phase: Phase = None,
    z: Z = None,
    y: Y = None,
    x: X = None,
    overwrite: Overwrite = False,
) -> None:
    """Save labels, annotations or a map of a stack: another spelling of labels STACK export LABELS -o TARGET."""
    from monai_app.stack import Stack

    export_labels(Stack.open(stack), labels, target, map=map, phase=phase, part=(z, y, x), overwrite=overwrite)
    renamed("save", "labels STACK export LABELS -o TARGET")


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


def _show_json(stack: "Stack") -> None:
    """Print the metadata of the label images."""
    from monai_app.stack.label_images.listing import label_images, unfinished_labels

    known = [
        {**vars(each), "region": None if each.region is None else each.region.to_json()} for each in label_images(stack)
    ]
    typer.echo(json.dumps({"labels": known, "unfinished": unfinished_labels(stack)}, indent=1))
