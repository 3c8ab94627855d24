"""``monai-app segment``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.options import Device, Parts, StackPath, X, Y, Z, stand_ins


def segment(
    stack: StackPath,
    model: Annotated[Path, typer.Argument(help="Run folder with trained weights, or an exported file.")],
    labels: Annotated[str | None, typer.Option(help="Name of the label image. [default: the model's]")] = None,
    z: Z = None,
    y: Y = None,
    x: X = None,
    mask: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="Segment only where this image file or label image is above 0."),
    ] = None,
    preview: Annotated[
        int | None, typer.Option(help="Only segment N slices spread over the stack, as labels NAME_preview.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="none|max|entropy", help="Also store the confidence of every pixel.")
    ] = None,
    probability: Annotated[
        bool | None, typer.Option("--probability", help="Also store the probability of every phase.")
    ] = None,
    tile: Annotated[
        str | None, typer.Option(metavar="SIDE", help="Tile: SIDE or ROWS,COLUMNS in pixels. [default: by the memory]")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of a process, e.g. 2GiB. [default: 4GiB or half of what is free]"),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="bfloat16 is faster on some machines; some labels differ."),
    ] = None,
    device: Device = None,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine. [default: 0, this one]")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to compute on, tcp://HOST:PORT.")
    ] = None,
    tiff: Annotated[Path | None, typer.Option(help="Also write the labels into this folder, a TIFF a slice.")] = None,
    detector: Parts = None,
    overwrite: Annotated[bool, typer.Option(help="Replace finished labels of that name.")] = False,
) -> None:
    """Segment a stack into a label image.

    The label image lies in the stack's store. The same command resumes a segmentation that was stopped.
    """
    from monai_app.api.segmentation import segment as segment_stack
    from monai_app.cli.running import log_to_console, show

    log_to_console()
    found = segment_stack(
        stack,
        model,
        labels,
        z=z,
        y=y,
        x=x,
        mask=mask,
        preview=preview,
        confidence=confidence,
        probability=probability,
        tile=tile,
        memory=memory,
        precision=precision,
        device=device,
        workers=workers,
        cluster=cluster,
        tiff=tiff,
        detectors=stand_ins(detector),
        overwrite=overwrite,
        show=show,
    )
    typer.echo(f"labels: {found.path}")
