"""``monai-app segment``."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from monai_app.cli.logs import Quiet, Verbosity
from monai_app.cli.options import Device, Parts, X, Y, Z, stand_ins
from monai_app.errors import ConfigError
from monai_app.progress import Progress, shown_progress, silent


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
            "--input",
            "-i",
            metavar="FOLDER",
            help="Images to segment: a folder with a subfolder per detector, or with sample.yaml.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="With --input: folder for the labels, one TIFF per slice."
        ),
    ] = None,
    voxel_nm: Annotated[
        str | None,
        typer.Option(metavar="Z,Y,X", help="With --input: voxel size in nm. [default: from the files]"),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Name of the label image. [default: the model's name]")] = None,
    z: Z = None,
    y: Y = None,
    x: X = None,
    mask: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="Image file or label image; only pixels above 0 are segmented."),
    ] = None,
    preview: Annotated[
        int | None, typer.Option(help="Segment only N slices spread over the stack, as label image NAME_preview.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="none|max|entropy", help="Also store the confidence of every pixel.")
    ] = None,
    probability: Annotated[
        bool | None, typer.Option("--probability", help="Also store the probability of every phase.")
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(metavar="SIDE", help="Tile size: SIDE or ROWS,COLUMNS in pixels. [default: as memory permits]"),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Memory limit per process, e.g. 2GiB. [default: 4GiB or half of the free memory]"
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(help="Precision; bfloat16 is faster on some machines but changes some labels."),
    ] = None,
    device: Device = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes on this machine. [default: 0: compute in this process]")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to compute on, tcp://HOST:PORT.")
    ] = None,
    tiff: Annotated[Path | None, typer.Option(help="Also write the labels to this folder, one TIFF per slice.")] = None,
    detector: Parts = None,
    overwrite: Annotated[
        bool, typer.Option(help="Replace existing labels of that name, or the existing folder.")
    ] = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also show the plan of the tiles, and for a stack the equivalent MONAI command."
        ),
    ] = False,
) -> None:
    """Segment a stack (STACK MODEL) or a folder of images (MODEL -i FOLDER -o LABELS).

    The labels of a stack are stored with it; the labels of a folder of images are TIFFs. Run the same command to resume
    a stopped segmentation.
    """
    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    verbosity.start()
    options: dict[str, Any] = {
        "z": z,
        "y": y,
        "x": x,
        "mask": mask,
        "preview": preview,
        "tile": tile,
        "memory": memory,
        "precision": precision,
        "device": device,
        "workers": workers,
        "cluster": cluster,
        "detectors": stand_ins(detector),
        "overwrite": overwrite,
    }
    if images is not None and output is not None:
        of_stacks = {"--labels": labels, "--tiff": tiff, "--confidence": confidence, "--probability": probability}
        _check_only_images({"a second argument": model, **of_stacks})
        _segment_images(first, images, output, voxel_nm, options, quiet=quiet)
    elif model is None or (images, output, voxel_nm) != (None, None, None):
        raise _incomplete(first, {"--input": images, "--output": output, "--voxel-nm": voxel_nm})
    else:
        from monai_app.api.segmentation import segment as segment_stack

        options |= {"confidence": confidence, "probability": probability, "tiff": tiff}
        with _segmenting(quiet=quiet) as progress:
            found = segment_stack(first, model, labels, **options, progress=progress, show=verbosity.show)
        typer.echo(f"labels: {found.path}")
        if tiff is not None:
            typer.echo(f"TIFFs: {tiff}")


def _check_only_images(of_stacks: Mapping[str, object]) -> None:
    if given := [name for name, value in of_stacks.items() if value is not None]:
        raise ConfigError(f"{', '.join(given)}: applies only to stacks, not to --input; leave it out")


def _incomplete(first: Path, options: Mapping[str, object]) -> ConfigError:
    given = [name for name, value in options.items() if value is not None]
    problem = f"{', '.join(given)} is not enough" if given else f"{first} is the only argument"
    return ConfigError(
        f"{problem}; write STACK MODEL for a stack, or MODEL --input FOLDER --output LABELS for a folder of images"
    )


def _segment_images(
    model: Path, images: Path, output: Path, voxel_nm: str | None, options: Mapping[str, Any], *, quiet: bool
) -> None:
    from monai_app.api.images import segment_images
    from monai_app.cli.progress import progress_bar

    ingesting = nullcontext(silent) if quiet else progress_bar("ingest")
    with ingesting as progress, _segmenting(quiet=quiet) as segmenting:
        lengths = _lengths(voxel_nm)
        segment_images(model, images, output, voxel_nm=lengths, **options, progress=progress, segmenting=segmenting)
    typer.echo(f"labels: {output}")


def _segmenting(*, quiet: bool) -> AbstractContextManager[Progress]:
    if quiet:
        return nullcontext(silent)
    return shown_progress("segment", "Mpixel", logging.getLogger(__name__).info, per=1_000_000)


def _lengths(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        lengths = [float(length) for length in text.split(",")]
    except ValueError:
        lengths = []
    if len(lengths) != 3:
        raise ConfigError(f"--voxel-nm {text!r} is not a voxel size; write three numbers in nm, such as 20,5,5")
    return lengths
