"""``monai-app segment``."""

from pathlib import Path
from typing import Annotated, Any

import typer


def segment(
    stack: Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr.")],
    run: Annotated[Path, typer.Argument(help="Run folder with trained weights.")],
    labels: Annotated[str | None, typer.Option(help="Name of the label image. [default: the run's]")] = None,
    tiff: Annotated[Path | None, typer.Option(help="Also write the labels as one TIFF per slice here.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace finished labels of that name.")] = False,
) -> None:
    """Segment every slice of a stack into a label image of the same store."""
    from monai_app.bundle.command import BundleCommand
    from monai_app.cli.running import show_and_run, trained_run
    from monai_app.stack import Stack
    from monai_app.stack.labels import check_label_name

    run, source = trained_run(run), Stack.open(stack)
    name = labels or run.name
    check_label_name(name)
    overrides: dict[str, Any] = {"bundle_root": str(run), "dataset_dir": str(source.path), "labels_name": name}
    overrides |= {"tiff_dir": str(tiff.absolute())} if tiff else {}
    overrides |= {"overwrite": True} if overwrite else {}
    show_and_run(BundleCommand((run / "configs" / "inference.yaml",), overrides))
    typer.echo(f"labels: {source.path / 'labels' / name}")
