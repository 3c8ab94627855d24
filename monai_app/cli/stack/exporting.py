"""Exporting from a store, for the commands that do so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.errors import ConfigError

if TYPE_CHECKING:
    from monai_app.stack import Stack
    from monai_app.stack.saving.slices import Form

Map = Annotated[str | None, typer.Option(help="Map of the label image to export, such as confidence or probability.")]
Phase = Annotated[str | None, typer.Option(metavar="PHASE", help="Phase of a probability map or of a mesh.")]
Overwrite = Annotated[bool, typer.Option(help="Replace an existing file or folder.")]


def export_labels(
    stack: "Stack",
    name: str,
    target: Path,
    *,
    map: str | None = None,
    phase: str | None = None,
    part: tuple[str | None, str | None, str | None] = (None, None, None),
    level: int | None = None,
    smooth: bool | None = None,
    form: "Form" = "tif",
    overwrite: bool = False,
) -> None:
    """Write a label image, the annotations or a map; the target's name decides: a mesh, an image file or a folder.

    Args:
        stack: the stack.
        name: name of the label image, or ``annotation``.
        target: the file or folder.
        map: name of the map to write instead of the labels.
        phase: phase of a probability map or a mesh.
        part: slices, rows and columns, as `Region.parse` takes them.
        level: see `save_mesh`.
        smooth: see `save_mesh`; None for its default.
        form: see `save_slices`.
        overwrite: replace what exists.

    Raises:
        ConfigError: a mesh of a map is requested, or a level or smoothing of something other than a mesh.
        AppError: see `save_mesh`, `save` and `save_slices`.
    """
    from monai_app.cli.progress import progress_bar
    from monai_app.domain.region import Region
    from monai_app.meshes import is_mesh, save_mesh
    from monai_app.stack.saving import save, save_slices

    region = None if part == (None, None, None) else Region.parse(*part, stack.shape)
    if is_mesh(target) and map is not None:
        raise ConfigError(f"{target.name} is a mesh, of labels, and no map ({map}) has one; leave --map out")
    if not is_mesh(target) and (level, smooth) != (None, None):
        raise ConfigError(
            f"{target.name} is not a mesh (.ply, .stl, .obj, .vtp), and --level and --smooth apply to meshes; "
            "leave them out"
        )
    with progress_bar("export") as progress:
        if is_mesh(target):
            save_mesh(
                stack,
                target,
                name,
                phase=phase,
                region=region,
                level=level,
                smooth=smooth is not False,
                overwrite=overwrite,
                report=typer.echo,
                progress=progress,
            )
        elif "." in target.name:
            save(stack, target, name, map=map, phase=phase, region=region, overwrite=overwrite, progress=progress)
        else:
            save_slices(
                stack,
                target,
                name,
                map=map,
                phase=phase,
                region=region,
                form=form,
                overwrite=overwrite,
                progress=progress,
            )
    typer.echo(f"saved: {target}")
