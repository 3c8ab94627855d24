"""``monai-app verify``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.errors import ConfigError


def verify(
    target: Annotated[Path, typer.Argument(help="Stack, run folder, or package (zip or unpacked).")],
    add_checksums: Annotated[
        bool, typer.Option("--add-checksums", help="Give a stack of an earlier version its checksums.")
    ] = False,
) -> None:
    """Read all that a stack, a run folder or a package holds, and say what is damaged."""
    if (target / "zarr.json").is_file():
        faults, notes = _stack(target, add_checksums)
    elif add_checksums:
        raise ConfigError(f"{target} is no stack; --add-checksums is for stacks alone: leave it out")
    elif target.is_file() or (target / "manifest.json").is_file():
        from monai_app.bundle.packages.verify import check_package

        files, golden = check_package(target)
        differs = f"{target} does not give its golden labels on this machine ({golden.differing} pixels differ)"
        faults, notes = [differs] if golden.differing else [], [f"{files} files are as they were packed"]
    else:
        from monai_app.cli.running import trained_run
        from monai_app.export.verification import verify_run

        faults, notes = verify_run(trained_run(target))
    for line in notes:
        typer.echo(line)
    for line in faults:
        typer.echo(f"monai-app: {line}", err=True)
    if faults:
        raise typer.Exit(2)
    typer.echo("ok")


def _stack(path: Path, add: bool) -> tuple[list[str], list[str]]:
    from monai_app.cli.running import progress_bar
    from monai_app.stack.add_checksums import add_checksums
    from monai_app.stack.verification import verify_store

    with progress_bar("verify") as progress:
        found = verify_store(path, progress)
    if add and not found.faults:
        with progress_bar("add checksums") as progress:
            add_checksums(path, progress)
        found.notes = ["all has checksums now"]
    return found.faults, found.notes
