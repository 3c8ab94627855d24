"""Arguments and options that several commands have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from monai_app.errors import ConfigError

Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="Where to compute: auto, cpu, cuda or cuda:N. [default: auto]")
]

Z = Annotated[str | None, typer.Option(metavar="FIRST:END", help="Slices, without END; or one slice. [default: all]")]
Y = Annotated[str | None, typer.Option(metavar="FIRST:END", help="Rows, without END. [default: all]")]
X = Annotated[str | None, typer.Option(metavar="FIRST:END", help="Columns, without END. [default: all]")]

StackPath = Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr.")]

Stacks = Annotated[
    list[Path],
    typer.Argument(metavar="STACK... [RUN]", help="Stack, NAME.ome.zarr, and run folder; or stacks, and --run."),
]

Run = Annotated[Path | None, typer.Option(help="Run folder, where several stacks are given.")]

Parts = Annotated[
    list[str] | None,
    typer.Option(
        "--detector",
        metavar="MODEL=STACK",
        help="Use the stack's detector in place of the model's, e.g. TLD=BSE. May be repeated.",
    ),
]


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]


def stacks_and_run(given: Sequence[Path], run: Path | None) -> tuple[list[Path], Path]:
    """Return what is given as stacks, and the run folder.

    Args:
        given: the arguments in their order.
        run: the option's value; without it there are one stack and the run folder.

    Raises:
        ConfigError: a run folder is missing, or several stacks are given without the option.
    """
    if run is not None:
        return list(given), run
    if len(given) == 2 and given[1].is_dir() and (given[1] / "zarr.json").is_file():
        raise ConfigError(f"{given[1]} is a store; the run folder comes last, or is given by --run RUN")
    if len(given) == 2:
        return [given[0]], given[1]
    told = " ".join(map(str, given))
    if len(given) == 1:
        raise ConfigError(f"{told} is given and no run folder; write STACK RUN, or STACK --run RUN")
    raise ConfigError(f"{told}: which is the run folder? Write it as an option: STACK STACK ... --run RUN")


def stand_ins(given: Sequence[str] | None) -> dict[str, str]:
    """Read ``PART=NAME`` options.

    Raises:
        ConfigError: one is written differently, or a part is given twice.
    """
    found: dict[str, str] = {}
    for text in given or ():
        part, equals, name = (each.strip() for each in text.partition("="))
        if not (part and equals and name):
            raise ConfigError(f"--detector {text!r}: write the model's detector, '=' and the stack's, such as HAADF=SE")
        if part in found:
            raise ConfigError(f"--detector {text!r}: {part!r} is given {found[part]!r} too; give each part once")
        found[part] = name
    return found
