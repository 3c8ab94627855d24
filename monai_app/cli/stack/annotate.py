"""``monai-app annotate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.options import StackPath
from monai_app.cli.stack.table import show_annotations


def annotate(
    stack: StackPath,
    source: Annotated[
        Path | None, typer.Option("--from", help="Label image, or folder of them, one a slice and named by slice.")
    ] = None,
    from_labels: Annotated[
        str | None, typer.Option(metavar="NAME", help="Label image of the stack to begin with, such as a prediction.")
    ] = None,
    slice: Annotated[
        list[str] | None,
        typer.Option(metavar="Z", help="Slice of each plane in turn: z from 0, or its name. May be repeated."),
    ] = None,
    role: Annotated[
        Literal["train", "test"] | None, typer.Option(help="What the slices are for. [default: as before, or train]")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="VALUE=PHASE,...", help="What values mean, such as 1=pore,2=hydrate,255=unlabelled."),
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(metavar="PHASE=#RRGGBB", help="Colour that a phase is painted in. May be repeated."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set to read, where the file (HDF5, OME-Zarr) has several, e.g. labels/cells."),
    ] = None,
    merge: Annotated[bool, typer.Option(help="Add to annotations: keep labels where the source has none.")] = False,
    overwrite: Annotated[
        bool, typer.Option(help="Replace annotations and roles, or with --merge labels that differ.")
    ] = False,
) -> None:
    """Import annotations from other programs, or from a prediction."""
    from monai_app.api.stacks import annotate as annotate_stack

    done = annotate_stack(
        stack,
        source,
        labels=from_labels,
        slices=slice or (),
        role=role,
        mapping=mapping,
        colours=colour or (),
        dataset=dataset,
        merge=merge,
        overwrite=overwrite,
    )
    if done.set:
        show_annotations(done.stack, done.set)
    if done.unchanged:
        typer.echo(f"unchanged: {', '.join(map(str, done.unchanged))}")
