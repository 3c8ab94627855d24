"""``monai-app init``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.progress import counted


def init(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folder of the sample, or its folders and files.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Description (sample.yaml) to write.")] = Path(
        "sample.yaml"
    ),
    overwrite: Annotated[bool, typer.Option(help="Replace an existing description.")] = False,
) -> None:
    """Describe a sample from its images and labels.

    The description contains a question wherever the files lack required information.
    """
    from monai_app.stack.discovery import write_description

    asked = write_description(paths, output, overwrite=overwrite, report=typer.echo)
    typer.echo(f"description: {output}")
    if asked:
        count = counted(len(asked), "open question")
        typer.echo(f"{count}: answer the lines that begin with '# ?' in it, and remove these lines")
