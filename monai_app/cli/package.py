"""``monai-app package``, ``unpack``, ``check``, ``trust`` and ``verify``."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.errors import ConfigError
from monai_app.files import is_not
from monai_app.names import printable
from monai_app.progress import counted

if TYPE_CHECKING:
    from monai_app.bundle.packages.manifest import Files


def package(
    stack: Annotated[
        Path, typer.Argument(help="Ingested stack, NAME.ome.zarr; a small part of it goes into the package.")
    ],
    run: Annotated[Path, typer.Argument(help="Run folder with trained and scored weights.")],
    target: Annotated[Path, typer.Argument(help="Package to write, NAME.zip.")],
    unscored: Annotated[bool, typer.Option(help="Package a model without scores.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    bioimageio: Annotated[bool, typer.Option("--bioimageio", help="Write a bioimage.io model instead.")] = False,
    author: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Author of a bioimage.io model: 'NAME; AFFILIATION'. May be repeated."),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(metavar="SPDX", help="Licence of the bioimage.io model, as an SPDX identifier such as CC-BY-4.0."),
    ] = None,
    cite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Reference to cite for the bioimage.io model, with a DOI or URL. May be repeated."
        ),
    ] = None,
) -> None:
    """Pack a trained model into one zip file with checksums."""
    from monai_app.api.running import trained_run
    from monai_app.stack import Stack

    options: dict[str, bool] = {"unscored": unscored, "overwrite": overwrite}
    if bioimageio:
        from monai_app.export.bioimageio.credits import Credits
        from monai_app.export.bioimageio.package import package_bioimageio

        credits = Credits(tuple(author or ()), license, tuple(cite or ()))
        made = package_bioimageio(trained_run(run), Stack.open(stack), target, credits, **options)
    else:
        if author or license or cite:
            raise ConfigError(
                "--author, --license and --cite apply to bioimage.io models; add --bioimageio, or leave them out"
            )
        from monai_app.bundle.packages.package import package as make_package

        made = make_package(trained_run(run), Stack.open(stack), target, **options)
    typer.echo(f"package: {made} ({made.stat().st_size / 1e6:.1f} MB)")


def unpack(
    package: Annotated[Path, typer.Argument(help="Package, NAME.zip.")],
    target: Annotated[Path, typer.Argument(help="Folder to create: a bundle that is used like a run folder.")],
    trust: Annotated[
        bool, typer.Option("--trust", help="Trust the code that the model brings with it, without confirmation.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing unpacked package.")] = False,
) -> None:
    """Unpack a packed model and check every file against its hash."""
    from monai_app.bundle.configs.trust import differences, is_signed, sign
    from monai_app.bundle.packages.archive import unpack as unpack_package
    from monai_app.bundle.renew import usable_run

    unpack_package(package, target, overwrite=overwrite)
    typer.echo(f"bundle: {target}")
    bundle = usable_run(target.absolute())
    changes = differences(bundle)
    _show(changes)
    if not changes or is_signed(bundle):
        return
    if trust or (_is_terminal() and _confirmed()):
        sign(bundle)
    else:
        typer.echo(f"Applying the model runs none of it. To train or evaluate with it: monai-app trust {target}")


def check(
    bundle: Annotated[Path, typer.Argument(help="Package NAME.zip, or the folder it was unpacked to.")],
) -> None:
    """Check that a packed model is complete and reproduces its test labels."""
    from monai_app.bundle.packages.verify import check_package

    files, tile = check_package(bundle)
    typer.echo(f"files    {files.same} unchanged since packing")
    for line in _changed(files):
        typer.echo(line)
    typer.echo(f"tile     {counted(tile.compared, 'pixel')} compared, {tile.differing} differ")
    if tile.differing:
        typer.echo(
            printable(f"monai-app: {bundle} does not reproduce the labels of its test tile on this machine"), err=True
        )
        raise typer.Exit(1)
    typer.echo("ok")


def _changed(files: "Files") -> list[str]:
    """Return a line about scores that changed since packing."""
    told = f"scores changed since packing: {', '.join(files.changed)}"
    return [printable(told)] if files.changed else []


def trust(
    run: Annotated[Path, typer.Argument(help="Run folder, unpacked package or exported model file.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Review and trust the code that a model brings with it.

    Later changes to this code revoke the trust.
    """
    run = run.absolute()
    if run.is_file():
        _trust_file(run, yes=yes)
    else:
        _trust_bundle(run, yes=yes)
    typer.echo(f"trusted: {run}")


def _trust_bundle(run: Path, *, yes: bool) -> None:
    from monai_app.bundle.configs.trust import differences, is_signed, sign
    from monai_app.bundle.renew import usable_run

    if not (run / "configs").is_dir():
        raise ConfigError(f"{is_not(run, 'a bundle (it has no folder configs)')}; give a run folder")
    usable = usable_run(run)
    changes = differences(usable)
    _show(changes)
    if changes and not is_signed(usable):
        _ask(yes=yes)
        sign(usable)


def _trust_file(path: Path, *, yes: bool) -> None:
    from monai_app.export.formats import format_of
    from monai_app.export.networks import read_file
    from monai_app.export.trust import is_trusted, sign

    kind, content = format_of(path), read_file(path)
    if not is_trusted(content, kind):
        typer.echo(f"A program ({kind}), SHA-256 {hashlib.sha256(content).hexdigest()}")
        _ask(yes=yes)
        sign(content)


def _ask(*, yes: bool) -> None:
    if not yes and not _is_terminal():
        raise ConfigError(
            "no terminal to ask for confirmation; review the code that would run, and give --yes if you trust it"
        )
    if not yes and not _confirmed():
        raise typer.Exit(1)


def verify(
    target: Annotated[Path, typer.Argument(help="Stack, run folder, or package (zip or unpacked).")],
    add_checksums: Annotated[
        bool, typer.Option("--add-checksums", help="Add checksums to a stack or run folder of an earlier version.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option(help="sample.yaml or sample folder: compare a stack with its original files.")
    ] = None,
) -> None:
    """Check all files of a stack, a run folder or a package for damage."""
    if not target.exists():
        raise ConfigError(f"{target} does not exist; give a stack, a run folder or a package")
    if (target / "zarr.json").is_file():
        faults, notes = _verified_stack(target, add_checksums, source)
    elif source is not None:
        raise ConfigError(f"{target} is not a stack, and --source applies only to stacks; leave it out")
    elif target.is_file() or (target / "manifest.json").is_file():
        if add_checksums:
            raise ConfigError(f"{target} is a package and has checksums already; leave out --add-checksums")
        from monai_app.bundle.packages.verify import check_package

        files, tile = check_package(target)
        differs = (
            f"{target} does not reproduce the labels of its test tile on this machine: {tile.differing} of its "
            f"{counted(tile.compared, 'pixel')} differ"
        )
        faults, notes = (
            [differs] if tile.differing else [],
            [f"{counted(files.same, 'file')} unchanged since packing", *_changed(files)],
        )
    else:
        from monai_app.api.running import trained_run
        from monai_app.export.verification import verify_run

        faults, notes = verify_run(trained_run(target), add=add_checksums)
    for line in notes:
        typer.echo(line)
    for line in faults:
        typer.echo(f"monai-app: {line}", err=True)
    if faults:
        raise typer.Exit(1)
    typer.echo("ok")


def _verified_stack(path: Path, add: bool, source: Path | None) -> tuple[list[str], list[str]]:
    from monai_app.cli.progress import progress_bar
    from monai_app.stack.add_checksums import add_checksums
    from monai_app.stack.comparison import compare_with_source
    from monai_app.stack.verification import verify_store

    with progress_bar("verify", "plane") as progress:
        found = verify_store(path, progress)
    if add and not found.faults:
        with progress_bar("add checksums", "plane") as progress:
            add_checksums(path, progress)
        found.notes = ["all files now have checksums"]
    if source is not None and not found.faults:
        with progress_bar("compare") as progress:
            compared = compare_with_source(path, source, progress)
        return compared.faults, found.notes + compared.notes
    return found.faults, found.notes


def _show(changes: list[str]) -> None:
    typer.echo(
        "It differs from the bundles of monai-app:"
        if changes
        else "It runs nothing beyond what the bundles of monai-app run."
    )
    for line in changes:
        typer.echo(f"  {line}")


def _is_terminal() -> bool:
    return typer.get_text_stream("stdin").isatty()


def _confirmed() -> bool:
    return typer.confirm("This code would run with your permissions. Do you trust it?")
