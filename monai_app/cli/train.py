"""``monai-app train``."""

import logging
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from monai_app.cli.logs import Quiet, Verbose, Verbosity
from monai_app.cli.options import Device, Run, Stacks, stacks_and_run


def train(
    paths: Stacks,
    run: Run = None,
    variant: Annotated[str | None, typer.Option(help="Network, detectors and slices, e.g. sensor3d_ice+tld_3.")] = None,
    bundle: Annotated[str | None, typer.Option(help="Bundle to train. [default: fibsem_unet_segmentation]")] = None,
    size: Annotated[
        str, typer.Option(help="Size of the network and its crops: small for a CPU, paper for a GPU, none, or auto.")
    ] = "small",
    detectors: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Detectors to learn from, e.g. ICE,TLD. [default: all]")
    ] = None,
    slices: Annotated[
        int | None, typer.Option(help="Slices in the slab, odd. [default: the variant's or bundle's]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs. [default: the size's]")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Minutes that this command may take, instead of epochs.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed: the same seed and data give the same weights.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting (see settings). May be repeated."),
    ] = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Start from the weights of this trained model; layers that do not fit start from random ones.",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            help="Processes on this machine, one per GPU; they share each batch. Weights do not depend on it."
        ),
    ] = 1,
    amp: Annotated[bool | None, typer.Option(help="Mixed precision. [default: on a GPU]")] = None,
    device: Device = None,
    tracking: Annotated[str | None, typer.Option(help="Also record the training with this tracker: mlflow.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only make the run folder and print the MONAI command.")
    ] = False,
    prepare_only: Annotated[bool, typer.Option("--prepare-only", hidden=True)] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow what this program's own bundles do not do (see trust).")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing run folder instead of resuming.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model on the annotated slices of one stack or several.

    The run folder becomes a MONAI bundle that holds the weights. The same command resumes a training that was stopped;
    a finished run is continued where more epochs or minutes are given.
    """
    begun = time.time()
    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    from monai_app.bundle.checks import check_tracking
    from monai_app.bundle.configs.settings import parse_setting
    from monai_app.bundle.configs.templates import DEFAULT_BUNDLE
    from monai_app.bundle.configs.trust import trusted_copy
    from monai_app.bundle.configs.variants import read_variant
    from monai_app.bundle.launch import check_processes
    from monai_app.bundle.recipe import begin_run
    from monai_app.bundle.run_folder import describe_again
    from monai_app.cli.running import checked_device, run_command, run_trusted
    from monai_app.inspection import warn_of_faults
    from monai_app.stack import Stack

    given: dict[str, Any] = dict(map(parse_setting, settings or []))
    named = {
        "detectors": detectors and [name.strip() for name in detectors.split(",")],
        "slices": slices,
        "max_epochs": epochs,
        "seed": seed,
    }
    given |= {name: value for name, value in named.items() if value is not None}
    check_processes(processes)
    verbosity.start()
    device = checked_device(device, processes)
    if tracking is not None:
        check_tracking(tracking)
    stacks, run = stacks_and_run(paths, run)
    opened = [*map(Stack.open, stacks)]
    if variant is not None:
        bundle, given = read_variant(variant).choose(opened[0], bundle, given)
    options = {"amp": amp, "device": device}
    run, new = begin_run(
        DEFAULT_BUNDLE if bundle is None else bundle,
        opened,
        run.absolute(),
        size=size,
        settings=given,
        processes=processes,
        pretrained=pretrained,
        trust=trust,
        overwrite=overwrite,
        report=logging.getLogger(__name__).info,
        begun=begun,
        minutes=minutes,
        options=options,
    )
    for each in opened:
        warn_of_faults(each)
    command = run_command(run, [each.path for each in opened], ("train",), processes, **options, tracking=tracking)
    if prepare_only:
        typer.echo("--prepare-only will be removed in a later version; write --dry-run", err=True)
    if dry_run or prepare_only:
        typer.echo(f"$ {command}")
        return
    with trusted_copy(run) as copy:
        if not new:
            describe_again(run, copy / "configs")  # somebody may have edited it
    run_trusted(run, command, verbosity)
    typer.echo(f"weights: {run / 'models' / 'model.pt'}")
