"""Tables on the command line, and the same as JSON."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from monai_app.stack import Stack


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells, with each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_annotations(stack: "Stack", zs: Sequence[int]) -> None:
    """Print a line for each of these annotated slices."""
    from monai_app.stack.annotations.listing import annotated_slices

    rows = [("slice", "name", "role", "labelled", *(phase.name for phase in stack.phases), "set by")]
    for each in annotated_slices(stack, zs):
        by = "ingested" if each.source is None else each.source or "-"
        counts = map(str, each.pixels[1:])
        rows.append((str(each.z), each.name, each.role, f"{100 * each.labelled:.4g} %", *counts, by))
    show_table(rows)


def annotations_as_json(stack: "Stack") -> None:
    """Print all annotated slices as JSON: pixel counts by phase, and of ``unlabelled`` pixels."""
    from monai_app.stack.annotations.listing import annotated_slices

    names = ("unlabelled", *(phase.name for phase in stack.phases))
    slices = [
        {**vars(each), "pixels": dict(zip(names, each.pixels, strict=True))}
        for each in annotated_slices(stack, sorted(stack.roles))
    ]
    typer.echo(json.dumps(slices, indent=1))
