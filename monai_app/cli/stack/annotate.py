"""``monai-app annotate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.options import StackPath
from monai_app.cli.stack.table import show_annotations


def annotate(
    stack: StackPath,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Label image, or folder with one label image per slice, named by slice."),
    ] = None,
    from_labels: Annotated[
        str | None, typer.Option(metavar="NAME", help="Label image of the stack to start from, such as a prediction.")
    ] = None,
    slice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="Z", help="Slice of each plane, in order: z counted from 0, or its name. May be repeated."
        ),
    ] = None,
    role: Annotated[
        Literal["train", "test"] | None,
        typer.Option(help="Role of the slices. [default: unchanged; train for new ones]"),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(metavar="VALUE=PHASE,...", help="Meaning of the values, such as 1=pore,2=hydrate,255=unlabelled."),
    ] = None,
    colour: Annotated[
        list[str] | None,
        typer.Option(metavar="PHASE=#RRGGBB", help="Colour in which a phase is painted. May be repeated."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Dataset to read if the file (HDF5, OME-Zarr) has several, e.g. labels/cells."),
    ] = None,
    merge: Annotated[
        bool, typer.Option(help="Merge into existing annotations: keep labels where the source has none.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option(help="Replace existing annotations and roles; with --merge, replace labels that differ.")
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
