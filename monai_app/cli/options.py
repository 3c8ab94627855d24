"""Options that several commands have."""

from typing import Annotated

import typer

Device = Annotated[str | None, typer.Option(help="Where to compute: auto, cpu, cuda or cuda:N. [default: auto]")]
Trust = Annotated[bool, typer.Option("--trust", help="Allow configs that do what no bundle of this program does.")]
