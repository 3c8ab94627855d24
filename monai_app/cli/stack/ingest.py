"""``monai-app ingest``."""

from pathlib import Path
from typing import Annotated

import typer


def ingest(
    description: Annotated[Path, typer.Argument(help="sample.yaml: detectors, phases, annotations, split.")],
    target: Annotated[Path, typer.Argument(help="Store to write, NAME.ome.zarr.")],
    overwrite: Annotated[bool, typer.Option(help="Replace an existing target.")] = False,
) -> None:
    """Read images and annotations into an OME-Zarr store."""
    from monai_app.bundle.command import BundleCommand
    from monai_app.bundle.configs.locate import config_path
    from monai_app.cli.progress import progress_bar
    from monai_app.cli.running import show
    from monai_app.stack import ingest as ingest_sample

    overrides = {"description": str(description.absolute()), "target": str(target.absolute()), "overwrite": overwrite}
    show(BundleCommand((config_path("tasks", "ingest"),), overrides))
    with progress_bar("ingest") as progress:
        stack = ingest_sample(description, target, overwrite=overwrite, progress=progress, report=typer.echo)
    typer.echo(f"stack: {stack}")
