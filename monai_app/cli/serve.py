"""``monai-app serve``."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from monai_app.cli.options import Device, PrepareOnly
from monai_app.errors import ConfigError
from monai_app.progress import counted

TOKEN = "MONAI_APP_TOKEN"  # the name of an environment variable
"""Environment variable that may hold the token."""


_VOLUMES, _TRAINING, _NETWORK, _LIMITS = "Slices and their volumes", "Training", "Network", "Limits"
"""Sections of the options."""


def serve(
    stack: Annotated[
        Path, typer.Argument(help="Ingested stack, NAME.ome.zarr; submitted labels become its annotations.")
    ],
    bundles: Annotated[
        list[str],
        typer.Option("--bundle", metavar="RUN|NAME", help="Run folder to serve, or bundle to train. May be repeated."),
    ],
    studies: Annotated[
        Path | None, typer.Option(help="Working folder of the server. [default: NAME.label beside the stack]")
    ] = None,
    host: Annotated[
        str, typer.Option(rich_help_panel=_NETWORK, help="Address to bind; any other than 127.0.0.1 requires a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, rich_help_panel=_NETWORK, help="Port; 0 selects a free one.")
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=_NETWORK,
            help=f"File with the token that clients must send; alternatively, set the token in the variable {TOKEN}.",
        ),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(metavar="Z,...", rich_help_panel=_VOLUMES, help="Slices to offer, e.g. 4,11,18. [default: all]"),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="Z,...", rich_help_panel=_VOLUMES, help="Slices whose labels are used only for testing, e.g. 21."
        ),
    ] = None,
    thickness: Annotated[
        int,
        typer.Option(rich_help_panel=_VOLUMES, help="Odd number of slices in the volume around each offered slice."),
    ] = 3,
    volumes: Annotated[
        Literal["nii.gz", "nii", "nrrd"],
        typer.Option("--format", rich_help_panel=_VOLUMES, help="Format of the volumes."),
    ] = "nii.gz",
    layout: Annotated[
        Literal["paired", "channels"],
        typer.Option(rich_help_panel=_VOLUMES, help="One file per detector, or one 4-D NIfTI."),
    ] = "paired",
    size: Annotated[
        str,
        typer.Option(rich_help_panel=_TRAINING, help="Size of networks trained from random weights: small or paper."),
    ] = "small",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", rich_help_panel=_TRAINING, help="Setting of the trainings. May be repeated."
        ),
    ] = None,
    device: Device = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", rich_help_panel=_LIMITS, help="Memory limit for inference, e.g. 4GiB.")
    ] = None,
    waiting: Annotated[
        int, typer.Option(rich_help_panel=_LIMITS, help="Length of the inference queue; further requests are rejected.")
    ] = 8,
    max_upload: Annotated[str, typer.Option(metavar="SIZE", rich_help_panel=_LIMITS, help="Largest request.")] = "4GiB",
    max_stored: Annotated[
        str, typer.Option(metavar="SIZE", rich_help_panel=_LIMITS, help="Disk quota for volumes and labels of clients.")
    ] = "32GiB",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", rich_help_panel=_VOLUMES, help="Write the volumes of all offered slices, and exit."),
    ] = False,
    prepare_only: PrepareOnly = False,
) -> None:
    """Serve a stack and models to 3D Slicer and other MONAI Label clients."""
    from importlib.util import find_spec

    from monai_app.bundle.configs.settings import parse_setting
    from monai_app.domain.validation import validated
    from monai_app.inference import Request
    from monai_app.stack import Stack

    if find_spec("monailabel") is None:
        raise ConfigError("MONAI Label is not installed; run tools/install-label from a checkout of this version")
    from monai_app.api.running import checked_device
    from monai_app.cli.progress import progress_bar
    from monai_app.label.datastore.folder import own_folder
    from monai_app.label.http.security import Access
    from monai_app.label.serve import export_cases, logged_to, serve_stack
    from monai_app.label.settings import Settings, Workspace

    source = Stack.open(stack)
    access = Access(host.removeprefix("[").removesuffix("]"), _token(token_file), _size(max_upload, "--max-upload"))
    Request.parse(memory=memory)
    given = {
        "stack": str(source.path),
        "bundles": tuple(_absolute(bundle) for bundle in bundles),
        "slices": _numbers(slices, "--slices"),
        "test_slices": _numbers(test, "--test"),
        "thickness": thickness,
        "suffix": f".{volumes}",
        "layout": layout,
        "size": size,
        "training": dict(map(parse_setting, settings or [])),
        "device": checked_device(device),
        "memory": memory,
        "waiting": waiting,
        "stored": _size(max_stored, "--max-stored"),
    }
    wanted = validated(Settings, given, "serve")
    default = source.path.with_name(source.path.name.removesuffix(".ome.zarr") + ".label")
    workspace = Workspace((studies or default).resolve())  # one name, whichever link leads to it
    with own_folder(workspace, source), logged_to(workspace.logs / "server.log"):
        if not (dry_run or prepare_only):
            serve_stack(wanted, workspace, access, port, typer.echo)
            return
        with progress_bar("export", "case") as progress:
            count = export_cases(wanted, workspace, progress)
    typer.echo(f"{counted(count, 'case')}: {workspace.cases}")


def _absolute(bundle: str) -> str:
    """Return a folder as an absolute path; the name of a packaged bundle stays as it is."""
    return str(Path(bundle).absolute()) if Path(bundle).exists() else bundle


def _numbers(text: str | None, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"{option} {text}: give slice numbers separated by commas, such as 4,11,18") from None


def _size(text: str, option: str) -> int:
    from monai_app.inference import Request

    try:
        size = Request.parse(memory=text).memory
    except ConfigError:
        size = None
    if size is None:
        raise ConfigError(f"{option} {text}: give a size such as 4GiB or 800MB")
    return size


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(TOKEN)
    if not path.is_file():
        raise ConfigError(f"token file {path} does not exist; write the token into it, readable only by you")
    return path.read_text(encoding="utf8", errors="replace").strip()
