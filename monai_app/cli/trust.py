"""``monai-app trust``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.errors import ConfigError


def trust(
    run: Annotated[Path, typer.Argument(help="Run folder or unpacked package.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what a bundle does that this program's own do not, and remember that you trust it, until it is changed."""
    from monai_app.bundle.configs.trust import differences, sign

    run = run.absolute()
    if not (run / "configs").is_dir():
        raise ConfigError(f"{run} is no bundle: it has no folder configs; give a run folder")
    if confirmed(differences(run), yes=yes):
        sign(run)
        typer.echo(f"trusted: {run}")


def confirmed(changes: list[str], *, yes: bool) -> bool:
    """Show what a bundle does differently, and ask whether the user trusts it.

    Raises:
        ConfigError: there is nobody to ask.
    """
    typer.echo("It does what this program's own bundles do." if not changes else "Unlike this program's own bundles:")
    for line in changes:
        typer.echo(f"  {line}")
    if yes or not changes:
        return True
    if not typer.get_text_stream("stdin").isatty():
        raise ConfigError("there is no terminal to ask at; look at the bundle, and say --yes if you trust it")
    return typer.confirm("Its configs and code would be run with your rights. Do you trust it?")
