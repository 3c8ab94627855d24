"""``monai-app study``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.cli.options import Json
from monai_app.errors import ConfigError

if TYPE_CHECKING:
    from monai_app.study.design import Design


def study(
    given: Annotated[
        list[Path], typer.Argument(metavar="STACK... FOLDER", help="Stacks, NAME.ome.zarr, and the study's folder.")
    ],
    design: Annotated[
        Path | None,
        typer.Option(
            help="YAML design with what to compare. [default: every network, number of slices and set of detectors]"
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,...", help="Seeds, such as 0,1,2. [default: the design's or 0,1,2]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training. [default: the design's or 12]")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Number of simultaneous trainings. [default: 1]")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to train on, tcp://HOST:PORT.")
    ] = None,
    json: Json = False,
) -> None:
    """Train variants with several seeds and compare them with statistics.

    All variants are trained under the same conditions. Run the same command to resume a study; additional seeds or
    variants extend it.
    """
    from monai_app.background.address import check_address
    from monai_app.cli.progress import progress_bar
    from monai_app.study.conduct import conduct
    from monai_app.study.report.folder import DOCUMENT, PAGE
    from monai_app.study.setup import begin_study

    if jobs is not None and cluster is not None:
        raise ConfigError(
            f"--jobs {jobs} applies to this machine, and --cluster {cluster} trains on others; give one of them"
        )
    if cluster is not None:
        check_address(cluster)
    stacks, folder, chosen = begin_study(given, design, seeds, epochs)
    command = shown_command(given, design, chosen, jobs, cluster)
    conduct(stacks, folder, chosen, command, jobs=jobs or 1, cluster=cluster, report=_report, progress=progress_bar)
    if json:
        typer.echo((folder / DOCUMENT).read_text(encoding="utf8").rstrip())
        return
    typer.echo((folder / PAGE).read_text(encoding="utf8"))
    typer.echo(f"results: {folder / PAGE}")


def _report(line: str) -> None:
    typer.echo(line, err=True)


def shown_command(
    given: list[Path], file: Path | None, design: "Design", jobs: int | None, cluster: str | None = None
) -> str:
    """Return the command that runs a design. Paths are shortened to their last part because results are published."""
    words = ["monai-app", "study", *(path.name for path in given), *(("--design", file.name) if file else ())]
    words += ["--seeds", ",".join(map(str, design.seeds)), "--epochs", str(design.epochs)]
    return shlex.join([*words, *(("--jobs", str(jobs)) if jobs else ()), *(("--cluster", cluster) if cluster else ())])
