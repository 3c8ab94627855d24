"""``monai-app train``."""

from pathlib import Path
from typing import Annotated

import typer

from monai_app.cli.logs import Quiet, Verbose, Verbosity
from monai_app.cli.options import Device, PrepareOnly, Run, Stacks, stacks_and_run


def train(
    paths: Stacks,
    run: Run = None,
    variant: Annotated[str | None, typer.Option(help="Network, detectors and slices, e.g. sensor3d_ice+tld_3.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Bundle to train. [default: fibsem_unet_segmentation]")] = None,
    size: Annotated[
        str, typer.Option(help="Size of network and crops: small for a CPU, paper for a GPU, none, or auto.")
    ] = "small",
    detectors: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Detectors to use, e.g. ICE,TLD. [default: all]")
    ] = None,
    slices: Annotated[
        int | None, typer.Option(help="Odd number of slices in the slab. [default: from the variant or bundle]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs. [default: from the size]")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Time limit of this command in minutes, instead of epochs.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed: the same seed and data give the same weights.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Override a setting (see the command settings). May be repeated."
        ),
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Start from the weights of this trained model; layers that do not fit start from random weights.",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            help="Processes on this machine, one per GPU, sharing each batch. Weights do not depend on their number."
        ),
    ] = 1,
    amp: Annotated[bool | None, typer.Option(help="Mixed precision. [default: on a GPU]")] = None,
    device: Device = None,
    tracking: Annotated[str | None, typer.Option(help="Also record the training with this tracker: mlflow.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Create the run folder and print the MONAI command, without training.")
    ] = False,
    prepare_only: PrepareOnly = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Trust the code that the bundle brings with it (see the command trust).")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing run folder instead of resuming.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model on the annotated slices of one stack or several.

    The run folder becomes a MONAI bundle with the weights. Run the same command to resume a stopped training; give more
    epochs or minutes to continue a finished one.
    """
    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    verbosity.start()
    from monai_app.api.training import train as train_run
    from monai_app.bundle.configs.settings import parse_setting

    dry_run = dry_run or prepare_only
    stacks, run = stacks_and_run(paths, run)
    trained = train_run(
        stacks,
        run,
        variant=variant,
        bundle=bundle,
        size=size,
        detectors=detectors and [name.strip() for name in detectors.split(",")],
        slices=slices,
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        settings=dict(map(parse_setting, settings or [])),
        pretrained=pretrained,
        processes=processes,
        amp=amp,
        device=device,
        tracking=tracking,
        trust=trust,
        overwrite=overwrite,
        dry_run=dry_run,
        show=(lambda command: typer.echo(f"$ {command}")) if dry_run else verbosity.show,
        log_config=verbosity.config,
    )
    if not dry_run:
        typer.echo(f"weights: {trained.weights}")
