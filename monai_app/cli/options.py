"""Arguments and options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from monai_app.errors import ConfigError

Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="Device to compute on: auto, cpu, cuda or cuda:N. [default: auto]")
]

Z = Annotated[
    str | None, typer.Option(metavar="FIRST:END", help="Range of slices, END excluded; or one slice. [default: all]")
]
Y = Annotated[str | None, typer.Option(metavar="FIRST:END", help="Range of rows, END excluded. [default: all]")]
X = Annotated[str | None, typer.Option(metavar="FIRST:END", help="Range of columns, END excluded. [default: all]")]

StackPath = Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr.")]

Stacks = Annotated[
    list[Path],
    typer.Argument(
        metavar="STACK... [RUN]", help="One stack, NAME.ome.zarr, and the run folder; or several stacks, with --run."
    ),
]

Run = Annotated[Path | None, typer.Option(help="Run folder, if several stacks are given.")]

Parts = Annotated[
    list[str] | None,
    typer.Option(
        "--detector",
        metavar="MODEL=STACK",
        help="Read the stack's detector in place of the model's, e.g. TLD=BSE. May be repeated.",
    ),
]


def renamed(old: str, new: str) -> None:
    """Say on standard error how an old spelling is written now."""
    typer.echo(f"{old} will be removed in a later version; write {new}", err=True)


def _prepare_only(given: bool) -> bool:
    if given:
        renamed("--prepare-only", "--dry-run")
    return given


PrepareOnly = Annotated[bool, typer.Option("--prepare-only", hidden=True, callback=_prepare_only)]

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for programs.")]


def stacks_and_run(given: Sequence[Path], run: Path | None) -> tuple[list[Path], Path]:
    """Split the arguments into stacks and the run folder.

    Args:
        given: the arguments in order.
        run: value of ``--run``; without it, the arguments are one stack and the run folder.

    Raises:
        ConfigError: a run folder is missing, or several stacks are given without the option.
    """
    if run is not None:
        return list(given), run
    if len(given) == 2 and given[1].is_dir() and (given[1] / "zarr.json").is_file():
        raise ConfigError(f"{given[1]} is a store; give the run folder last, or with --run RUN")
    if len(given) == 2:
        return [given[0]], given[1]
    told = " ".join(map(str, given))
    if len(given) == 1:
        raise ConfigError(f"{told} is given without a run folder; write STACK RUN, or STACK --run RUN")
    raise ConfigError(f"{told}: it is unclear which is the run folder; give it as an option: STACK STACK ... --run RUN")


def stand_ins(given: Sequence[str] | None) -> dict[str, str]:
    """Read ``PART=NAME`` options.

    Raises:
        ConfigError: an option has another form, or a detector is given twice.
    """
    found: dict[str, str] = {}
    for text in given or ():
        part, equals, name = (each.strip() for each in text.partition("="))
        if not (part and equals and name):
            raise ConfigError(f"--detector {text!r}: write the model's detector, '=' and the stack's, such as HAADF=SE")
        if part in found:
            raise ConfigError(f"--detector {text!r}: {part!r} is also given {found[part]!r}; give each detector once")
        found[part] = name
    return found
