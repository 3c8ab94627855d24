"""Options that several commands have."""

from typing import Annotated

import typer

Device = Annotated[str | None, typer.Option(help="Where to compute: auto, cpu, cuda or cuda:N. [default: auto]")]
