"""``monai-app package``, ``unpack`` and ``check``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.cli.options import Trust


def package(
    stack: Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr; a piece of it goes into the package.")],
    run: Annotated[Path, typer.Argument(help="Run folder with trained and scored weights.")],
    target: Annotated[Path, typer.Argument(help="Package to write, NAME.zip.")],
    unscored: Annotated[bool, typer.Option(help="Package a model without scores.")] = False,
    trust: Trust = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Make a self-describing, self-checking zip of a trained model."""
    from monai_app.bundle.packages.package import package as make_package
    from monai_app.cli.running import trained_run
    from monai_app.stack import Stack

    made = make_package(
        trained_run(run, trust=trust), Stack.open(stack), target, unscored=unscored, overwrite=overwrite
    )
    typer.echo(f"package: {made} ({made.stat().st_size / 1e6:.1f} MB)")


def unpack(
    package: Annotated[Path, typer.Argument(help="Package, NAME.zip.")],
    target: Annotated[Path, typer.Argument(help="Folder to make: a bundle, to be used like a run folder.")],
    overwrite: Annotated[bool, typer.Option(help="Replace an unpacked package.")] = False,
) -> None:
    """Unpack a package, every file checked against its hash."""
    from monai_app.bundle.packages.archive import unpack as unpack_package

    unpack_package(package, target, overwrite=overwrite)
    typer.echo(f"bundle: {target}")
    typer.echo("Its configs are code: monai-app refuses what the bundles of this program do not do.")


def check(
    bundle: Annotated[Path, typer.Argument(help="Package, NAME.zip, or unpacked one.")],
    trust: Trust = False,
) -> None:
    """Prove that a packaged model is whole and gives its golden labels on this machine."""
    from monai_app.bundle.packages.verify import check_package

    files, golden = check_package(bundle, trust=trust)
    typer.echo(f"files    {files} are as they were packed")
    typer.echo(f"golden   {golden.compared} pixels compared, {golden.differing} differ")
    if golden.differing:
        typer.echo(f"monai-app: {bundle} does not give its golden labels on this machine", err=True)
        raise typer.Exit(1)
    typer.echo("ok")
