"""``monai-app simulate``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.cli.logs import ShowCommand, Verbosity


def simulate(
    target: Annotated[Path, typer.Argument(help="Folder to write: TIFFs per detector, annotations, sample.yaml.")],
    config: Annotated[Path | None, typer.Option(help="YAML file of settings (`settings --of simulator`).")] = None,
    slices: Annotated[int | None, typer.Option(help="Number of slices.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of a slice, in pixels.")] = None,
    columns: Annotated[int | None, typer.Option(help="Columns of a slice, in pixels.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed: the same seed gives the same pixels.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing target.")] = False,
    verbose: ShowCommand = False,
) -> None:
    """Simulate a two-detector stack with the true phase of every pixel."""
    from monai_app.bundle.command import BundleCommand
    from monai_app.bundle.configs.settings import read_overlays
    from monai_app.bundle.configs.templates import config_path
    from monai_app.cli.progress import progress_bar
    from monai_app.phantom import PhantomConfig, write_sample

    if config is not None:
        PhantomConfig.from_yaml(config)  # errors then name file and line
    given = {"slices": slices, "rows": rows, "columns": columns, "seed": seed}
    settings = read_overlays([config] if config else []) | {k: v for k, v in given.items() if v is not None}
    overrides = {"target": str(target.absolute()), "config": settings, "overwrite": overwrite}
    Verbosity.of(quiet=False, verbose=verbose).show(BundleCommand((config_path("tasks", "simulate"),), overrides))
    with progress_bar("simulate") as progress:
        write_sample(PhantomConfig.from_mapping(settings), target, progress=progress, overwrite=overwrite)
    typer.echo(f"sample: {target / 'sample.yaml'}")
