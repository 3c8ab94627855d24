"""``monai-app package``, ``unpack`` and ``check``."""

from pathlib import Path
from typing import Annotated

import typer


def package(
    stack: Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr; a piece of it goes into the package.")],
    run: Annotated[Path, typer.Argument(help="Run folder with trained and scored weights.")],
    target: Annotated[Path, typer.Argument(help="Package to write, NAME.zip.")],
    unscored: Annotated[bool, typer.Option(help="Package a model without scores.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Make a self-describing, self-checking zip of a trained model."""
    from monai_app.bundle.packages.package import package as make_package
    from monai_app.cli.running import trained_run
    from monai_app.stack import Stack

    made = make_package(trained_run(run), Stack.open(stack), target, unscored=unscored, overwrite=overwrite)
    typer.echo(f"package: {made} ({made.stat().st_size / 1e6:.1f} MB)")


def unpack(
    package: Annotated[Path, typer.Argument(help="Package, NAME.zip.")],
    target: Annotated[Path, typer.Argument(help="Folder to make: a bundle, to be used like a run folder.")],
    trust: Annotated[bool, typer.Option("--trust", help="Trust what it would run, without being asked.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an unpacked package.")] = False,
) -> None:
    """Unpack a package, every file checked against its hash."""
    from monai_app.bundle.configs.trust import differences, sign
    from monai_app.bundle.packages.archive import unpack as unpack_package
    from monai_app.cli.trust import confirmed

    unpack_package(package, target, overwrite=overwrite)
    typer.echo(f"bundle: {target}")
    changes = differences(target)
    if changes and not trust and not typer.get_text_stream("stdin").isatty():
        typer.echo(f"Train or evaluate with it after `monai-app trust {target}`; applying the model needs no trust.")
    elif changes and confirmed(changes, yes=trust):
        sign(target)


def check(
    bundle: Annotated[Path, typer.Argument(help="Package, NAME.zip, or unpacked one.")],
) -> None:
    """Prove that a packaged model is whole and gives its golden labels on this machine."""
    from monai_app.bundle.packages.verify import check_package

    files, golden = check_package(bundle)
    typer.echo(f"files    {files} are as they were packed")
    typer.echo(f"golden   {golden.compared} pixels compared, {golden.differing} differ")
    if golden.differing:
        typer.echo(f"monai-app: {bundle} does not give its golden labels on this machine", err=True)
        raise typer.Exit(1)
    typer.echo("ok")
