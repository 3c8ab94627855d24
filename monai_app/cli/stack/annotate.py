"""``monai-app annotate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.options import StackPath
from monai_app.cli.stack.table import show_annotations
from monai_app.errors import ConfigError


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
    from monai_app.stack import Stack
    from monai_app.stack.annotations.importing import import_annotations, import_labels
    from monai_app.stack.annotations.meaning import Meaning

    opened = Stack.open(stack)
    if (source is None) == (from_labels is None):
        raise ConfigError(
            "labels come from files or from the stack; give --from PATH or --from-labels NAME, and not both"
        )
    if source is not None:
        meaning = Meaning.parse(opened.phases, mapping, colour or ())
        done = import_annotations(
            opened,
            source,
            slices=slice or (),
            role=role,
            meaning=meaning,
            dataset=dataset,
            merge=merge,
            overwrite=overwrite,
        )
    else:
        if mapping is not None or colour or dataset is not None:
            raise ConfigError(
                "--mapping, --colour and --dataset are of files, and labels of the stack name their phases; leave them "
                "out"
            )
        done = import_labels(opened, str(from_labels), slice or (), role=role, merge=merge, overwrite=overwrite)
    if done.set:
        show_annotations(done.stack, done.set)
    if done.unchanged:
        typer.echo(f"unchanged: {', '.join(map(str, done.unchanged))}")
