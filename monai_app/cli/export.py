"""``monai-app export``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.logs import ShowCommand, Verbosity


def export(
    run: Annotated[Path, typer.Argument(help="Run folder with trained weights.")],
    target: Annotated[Path | None, typer.Argument(help="File to write. [default: RUN/models/model.SUFFIX]")] = None,
    format: Annotated[
        Literal["torchscript", "torch-export", "onnx"],
        typer.Option(help="Format of the file; the suffixes are .ts, .pt2 and .onnx."),
    ] = "torchscript",
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    verbose: ShowCommand = False,
) -> None:
    """Write a trained model as a TorchScript, torch.export or ONNX file.

    The file contains the model's metadata. Its output is compared with that of the original network.
    """
    from monai_app.api.running import trained_run
    from monai_app.export import export_run

    verbosity = Verbosity.of(quiet=False, verbose=verbose)
    report = export_run(trained_run(run), format, target, overwrite=overwrite, show=verbosity.show)
    typer.echo("compared with the original model:")
    typer.echo(f"{'batch':>6}{'rows':>6}{'columns':>9}{'pixels':>9}{'phases':>8}{'logits differ by':>18}{'labels':>8}")
    for parity in report.parities:
        sides = f"{parity.batch:>6}{parity.rows:>6}{parity.columns:>9}{parity.pixels:>9}{parity.phases:>8}"
        typer.echo(f"{sides}{parity.max_difference:>18.1e}{parity.differing:>8}")
    typer.echo(f"exported: {report.file}")
