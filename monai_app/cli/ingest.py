"""``monai-app init`` and ``ingest``."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folder of a sample, or its folders and files.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Description to write.")] = Path("sample.yaml"),
    overwrite: Annotated[bool, typer.Option(help="Replace an existing description.")] = False,
) -> None:
    """Look at images and labels, and write the description of the sample with questions where files say nothing."""
    from monai_app.stack.discovery import write_description

    asked = write_description(paths, output, overwrite=overwrite, report=typer.echo)
    typer.echo(f"description: {output}")
    if asked:
        count = f"{len(asked)} questions are" if len(asked) > 1 else "1 question is"
        typer.echo(f"{count} open: answer the lines that begin with '# ?' in it, and remove these lines")


def ingest(
    description: Annotated[Path, typer.Argument(help="sample.yaml (see init), or the folder of a sample.")],
    target: Annotated[Path, typer.Argument(help="Store to write, NAME.ome.zarr.")],
    overwrite: Annotated[bool, typer.Option(help="Replace an existing target.")] = False,
) -> None:
    """Read images and annotations into an OME-Zarr store."""
    from monai_app.bundle.command import BundleCommand
    from monai_app.bundle.configs.locate import config_path
    from monai_app.cli.running import progress_bar, show
    from monai_app.stack import ingest as ingest_sample

    overrides = {"description": str(description.absolute()), "target": str(target.absolute()), "overwrite": overwrite}
    show(BundleCommand((config_path("tasks", "ingest"),), overrides))
    with progress_bar("ingest") as progress:
        stack = ingest_sample(description, target, overwrite=overwrite, progress=progress, report=typer.echo)
    typer.echo(f"stack: {stack}")
