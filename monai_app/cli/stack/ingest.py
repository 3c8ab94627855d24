"""``monai-app ingest``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.logs import ShowCommand, Verbosity

_DEFAULTS = {"align_transform": "translation", "align_keep": "line", "align_reference": None}


def ingest(
    description: Annotated[Path, typer.Argument(help="sample.yaml (see init), or the folder of a sample.")],
    target: Annotated[Path, typer.Argument(help="Store to write, NAME.ome.zarr.")],
    overwrite: Annotated[bool, typer.Option(help="Replace an existing target.")] = False,
    align: Annotated[
        Literal["slices", "detectors", "both"] | None,
        typer.Option(help="Align the slices with each other, the detectors with each other, or both."),
    ] = None,
    align_transform: Annotated[
        Literal["translation", "rigid", "affine"],
        typer.Option(help="Transformation: rigid adds rotation to translation, affine adds scaling and shear."),
    ] = "translation",
    align_keep: Annotated[
        Literal["line", "curve", "nothing"],
        typer.Option(help="Part of the drift to keep as real structure: its mean step, a slow curve, or nothing."),
    ] = "line",
    align_reference: Annotated[
        str | None, typer.Option(help="Reference detector for the alignment; annotations were painted on it.")
    ] = None,
    align_report: Annotated[
        Path | None, typer.Option(help="Folder for a figure of the drift and a table of the slices.")
    ] = None,
    verbose: ShowCommand = False,
) -> None:
    """Convert images and annotations to an OME-Zarr store."""
    from monai_app.api.stacks import ingest as ingest_sample
    from monai_app.bundle.command import BundleCommand
    from monai_app.bundle.configs.templates import config_path
    from monai_app.cli.progress import progress_bar
    from monai_app.errors import ConfigError
    from monai_app.stack import Align
    from monai_app.stack.alignment.report import check_folder, write_report

    options = {"align_transform": align_transform, "align_keep": align_keep, "align_reference": align_reference}
    if align is None and (options != _DEFAULTS or align_report is not None):
        raise ConfigError("--align-... says how to align, and nothing is aligned; add --align both, or leave it out")
    if align_report is not None:
        check_folder(align_report, target)
    overrides = {"description": str(description.absolute()), "target": str(target.absolute()), "overwrite": overwrite}
    if align is not None:
        overrides |= {"align": align, **{name: value for name, value in options.items() if value is not None}}
    Verbosity.of(quiet=False, verbose=verbose).show(BundleCommand((config_path("tasks", "ingest"),), overrides))
    with progress_bar("ingest") as progress:
        stack = ingest_sample(
            description,
            target,
            overwrite=overwrite,
            align=None if align is None else Align(align, align_transform, align_keep, align_reference),
            progress=progress,
            report=typer.echo,
        )
    if stack.alignment is not None and align_report is not None:
        write_report(stack.alignment, stack.slice_names, align_report)
        typer.echo(f"report: {align_report}")
    typer.echo(f"stack: {stack}")
    if not stack.phases:
        typer.echo("no phases: annotations cannot be imported")
