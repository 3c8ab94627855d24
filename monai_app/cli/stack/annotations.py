"""``monai-app annotations``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monai_app.cli.options import Json, StackPath
from monai_app.cli.stack.exporting import export_labels
from monai_app.cli.stack.table import annotations_as_json, show_annotations
from monai_app.errors import ConfigError

if TYPE_CHECKING:
    from monai_app.stack import Role, Stack


def annotations(
    stack: StackPath,
    move: Annotated[
        list[str] | None, typer.Option(metavar="N=ROLE", help="Set the role of slice N (z or name): train or test.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Remove the annotation of slice N. May be repeated.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="File or folder (one image per slice) to export the annotations to.")
    ] = None,
    format: Annotated[Literal["tif", "png"], typer.Option(help="Format of the images in the folder.")] = "tif",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file or folder.")] = False,
    json: Json = False,
) -> None:
    """List annotated slices; change their role, remove or export them."""
    from monai_app.stack import Stack
    from monai_app.stack.annotations.listing import change_annotations
    from monai_app.stack.annotations.placing import resolve

    if export is not None and (move or remove):
        raise ConfigError("--export writes annotations, and --move and --remove change them; give two commands")
    if export is not None and json:
        raise ConfigError("--export writes annotations, and --json lists them; give two commands")
    opened = Stack.open(stack)
    if export is not None:
        export_labels(opened, "annotation", export, form=format, overwrite=overwrite)
        return
    if move or remove:
        opened = change_annotations(opened, _roles(opened, move or ()), resolve(opened, remove or (), "--remove"))
    if json:
        annotations_as_json(opened)
    elif opened.roles:
        show_annotations(opened, sorted(opened.roles))
    else:
        typer.echo("no slice is annotated")


def _roles(stack: "Stack", given: Sequence[str]) -> "dict[int, Role]":
    """Read ``N=ROLE`` options."""
    from monai_app.stack.annotations.placing import resolve

    roles: dict[str, Role] = {"train": "train", "test": "test"}
    pairs = [text.rpartition("=") for text in given]
    for name, equals, role in pairs:
        if not name or role not in roles:
            raise ConfigError(f"--move {name}{equals}{role}: write the slice, '=' and train or test, such as 8=test")
    zs = resolve(stack, [name for name, _, _ in pairs], "--move")
    return dict(zip(zs, (roles[role] for _, _, role in pairs), strict=True))
