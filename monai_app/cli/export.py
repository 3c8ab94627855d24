"""``monai-app export`` and ``save``."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Run folder with trained weights.")],
    target: Annotated[Path | None, typer.Argument(help="File to write. [default: RUN/models/model.SUFFIX]")] = None,
    format: Annotated[
        Literal["torchscript", "torch-export", "onnx"], typer.Option(help="Suffixes .ts, .pt2 and .onnx.")
    ] = "torchscript",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Write the model as one file for other programs, metadata inside, and compare it with the original."""
    from monai_app.cli.running import trained_run
    from monai_app.export import export_run

    report = export_run(
        trained_run(run), format, target, overwrite=overwrite, show=lambda line: typer.echo(f"$ {line}")
    )
    typer.echo(f"{'batch':>6}{'rows':>6}{'columns':>9}{'pixels':>9}{'phases':>8}{'logits differ by':>18}{'labels':>8}")
    for parity in report.parities:
        sides = f"{parity.batch:>6}{parity.rows:>6}{parity.columns:>9}{parity.pixels:>9}{parity.phases:>8}"
        typer.echo(f"{sides}{parity.max_difference:>18.1e}{parity.differing:>8}")
    typer.echo(f"exported: {report.file}")


def save(
    stack: Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr.")],
    target: Annotated[
        Path, typer.Argument(help="File to write: .tif, .ome.tif, .nii.gz, .seg.nrrd, .nrrd, .mha, .h5 or .mrc.")
    ],
    labels: Annotated[str, typer.Option(help="Label image to save, or annotation.")],
    map: Annotated[str | None, typer.Option(help="Its map to save instead, such as confidence or probability.")] = None,
    phase: Annotated[str | None, typer.Option(help="Whose probability, by name.")] = None,
    z: Annotated[str | None, typer.Option(help="Slices FIRST:END, END excluded, or one. [default: all]")] = None,
    y: Annotated[str | None, typer.Option(help="Rows, likewise.")] = None,
    x: Annotated[str | None, typer.Option(help="Columns, likewise.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Save labels, annotations or a map of a stack as a file of another program, with geometry, names and colours."""
    from monai_app.cli.progress import progress_bar
    from monai_app.domain.region import Region
    from monai_app.stack import Stack
    from monai_app.stack.saving import save as save_labels

    source = Stack.open(stack)
    region = Region.parse(z, y, x, source.shape)
    with progress_bar("save") as progress:
        saved = save_labels(
            source, target, labels, map=map, phase=phase, region=region, overwrite=overwrite, progress=progress
        )
    typer.echo(f"saved: {saved} ({saved.stat().st_size / 1e6:.3g} MB)")
