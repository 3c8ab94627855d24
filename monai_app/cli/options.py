"""Options that several commands have."""

from typing import Annotated

import typer

Trust = Annotated[bool, typer.Option("--trust", help="Allow configs that do what no bundle of this program does.")]
