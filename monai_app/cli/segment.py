"""``monai-app segment``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from monai_app.cli.logs import Quiet, Verbose, Verbosity
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
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Segment a stack into a label image.

    The label image lies in the stack's store. The same command resumes a segmentation that was stopped.
    """
    from monai_app.bundle.configs.applied import Applied
    from monai_app.bundle.segment import segment as segment_stack
    from monai_app.bundle.stacks import tell_what_is_unfamiliar
    from monai_app.cli.running import applicable, checked_device, show
    from monai_app.domain.validation import validated
    from monai_app.inspection import warn_of_faults
    from monai_app.stack import Stack
    from monai_app.stack.label_images.registry import check_label_name

    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    verbosity.start()
    device = checked_device(device)
    source, chosen, parts = Stack.open(stack), applicable(model), stand_ins(detector)
    tell_what_is_unfamiliar(chosen.model.spec.reading(parts), source)
    name = chosen.name if labels is None else labels
    check_label_name(name)
    given: dict[str, Any] = {
        "mask": _mask(mask, source.label_names()),
        "preview": preview,
        "confidence": confidence,
        "probability": probability,
        "tile": tile,
        "memory": memory,
        "precision": precision,
        "device": device,
        "workers": workers,
        "cluster": cluster,
        "tiff_dir": tiff and str(tiff.absolute()),
        "stand_ins": parts or None,
        "overwrite": overwrite or None,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    part = {axis: text for axis, text in (("slices", z), ("rows", y), ("columns", x)) if text is not None}
    wanted = {**chosen.settings, **asked, "region": {**chosen.settings.get("region", {}), **part}}
    settings = validated(Applied, wanted, "segment")
    overrides = {"dataset_dir": str(source.path), "labels_name": name, **asked}
    overrides |= {f"region::{axis}": text for axis, text in part.items()}
    show(replace(chosen.command, overrides=chosen.command.overrides | overrides), verbosity)
    warn_of_faults(source)
    segment_stack(chosen.model, source.path, name, settings)
    typer.echo(f"labels: {source.path / 'labels' / (f'{name}_preview' if preview else name)}")


def _mask(mask: str | None, label_images: tuple[str, ...]) -> str | None:
    """The mask as the bundle takes it from any folder: a label image's name, or an absolute path."""
    return mask if mask is None or mask in label_images else str(Path(mask).absolute())
