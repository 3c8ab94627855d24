"""``monai-app segment``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from monai_app.cli.logs import Quiet, Verbose, Verbosity
from monai_app.cli.options import Device, Parts, X, Y, Z, stand_ins
from monai_app.errors import ConfigError


def segment(
    first: Annotated[
        Path, typer.Argument(metavar="STACK", help="Ingested stack, NAME.ome.zarr; with --input, the model instead.")
    ],
    model: Annotated[
        Path | None,
        typer.Argument(help="Run folder with trained weights, or an exported file; with --input, a packed model too."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--input", "-i", metavar="FOLDER", help="Images to segment: a subfolder per detector, or with sample.yaml."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="With --input: folder for a TIFF a slice.")
    ] = None,
    voxel_nm: Annotated[
        str | None,
        typer.Option(metavar="Z,Y,X", help="With --input: size of a voxel in nm. [default: what the files say]"),
    ] = None,
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
    overwrite: Annotated[bool, typer.Option(help="Replace finished labels of that name, or that folder.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Segment a stack into a label image: STACK MODEL. Or a folder of images: MODEL -i FOLDER -o LABELS.

    The label image lies in the stack's store; labels of a folder of images are TIFFs. The same command resumes a
    segmentation that was stopped.
    """
    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    verbosity.start()
    every: dict[str, Any] = {
        "mask": mask,
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
        "stand_ins": stand_ins(detector) or None,
        "overwrite": overwrite or None,
    }
    asked = {name: value for name, value in every.items() if value is not None}
    part = {axis: text for axis, text in (("slices", z), ("rows", y), ("columns", x)) if text is not None}
    if images is not None and output is not None:
        from monai_app.cli.segment_images import segment_images

        of_stacks = {"--labels": labels, "--tiff": tiff, "--confidence": confidence, "--probability": probability}
        _check_only_images({"a second argument": model, **of_stacks})
        segment_images(first, images, output, voxel_nm, asked, part)
    elif model is None or (images, output, voxel_nm) != (None, None, None):
        options = {"--input": images, "--output": output, "--voxel-nm": voxel_nm}
        given = [name for name, value in options.items() if value is not None]
        problem = f"{', '.join(given)} is not enough" if given else f"{first} is the only argument"
        raise ConfigError(
            f"{problem}; write STACK MODEL for a stack, or MODEL --input FOLDER --output LABELS for a folder of images"
        )
    else:
        _segment_stack(first, model, labels, asked, part, verbosity)


def _check_only_images(of_stacks: Mapping[str, object]) -> None:
    if given := [name for name, value in of_stacks.items() if value is not None]:
        raise ConfigError(f"{', '.join(given)}: for a stack alone, where no --input is given; leave it out")


def _segment_stack(
    stack: Path, model: Path, labels: str | None, asked: dict[str, Any], part: Mapping[str, str], verbosity: Verbosity
) -> None:
    from monai_app.bundle.segment import segment as segment_stack
    from monai_app.bundle.stacks import tell_what_is_unfamiliar
    from monai_app.cli.running import applicable, applied, checked_device, show
    from monai_app.inspection import warn_of_faults
    from monai_app.stack import Stack
    from monai_app.stack.label_images.registry import check_label_name

    if "device" in asked:
        asked["device"] = checked_device(asked["device"])
    source, chosen = Stack.open(stack), applicable(model)
    tell_what_is_unfamiliar(chosen.model.spec.reading(asked.get("stand_ins", {})), source)
    name = chosen.name if labels is None else labels
    check_label_name(name)
    if "mask" in asked and asked["mask"] not in source.label_names():
        asked["mask"] = str(Path(asked["mask"]).absolute())  # the bundle takes it from any folder
    settings = applied(chosen, asked, part)
    overrides = {"dataset_dir": str(source.path), "labels_name": name, **asked}
    overrides |= {f"region::{axis}": text for axis, text in part.items()}
    show(replace(chosen.command, overrides=chosen.command.overrides | overrides), verbosity)
    warn_of_faults(source)
    segment_stack(chosen.model, source.path, name, settings)
    typer.echo(f"labels: {source.path / 'labels' / (f'{name}_preview' if settings.preview else name)}")
