"""``monai-app study``."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.errors import ConfigError, FailedError

if TYPE_CHECKING:
    from monai_app.stack import Stack
    from monai_app.study.design import Design


def study(
    given: Annotated[
        list[Path], typer.Argument(metavar="STACK... FOLDER", help="Stacks, NAME.ome.zarr, and the study's folder.")
    ],
    design: Annotated[
        Path | None,
        typer.Option(help="What is compared, as YAML. [default: every network, number of slices and set of detectors]"),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,...", help="Seeds, such as 0,1,2. [default: the design's or 0,1,2]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training. [default: the design's or 12]")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trainings at the same time. [default: 1]")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to train on, tcp://HOST:PORT.")
    ] = None,
) -> None:
    """Train variants with several seeds and compare them with statistics.

    All are trained alike. The same command resumes a study; further seeds or variants are added to what is done.
    """
    from monai_app.background.address import check_address
    from monai_app.study.report.folder import PAGE
    from monai_app.study.setup import alone_in, begin_study

    if jobs is not None and cluster is not None:
        raise ConfigError(
            f"--jobs {jobs} is for this machine, and --cluster {cluster} trains on others; give one of them"
        )
    if cluster is not None:
        check_address(cluster)
    stacks, folder, chosen = begin_study(given, design, seeds, epochs)
    with alone_in(folder):
        _carry_out(stacks, folder, chosen, shown_command(given, design, chosen, jobs, cluster), jobs or 1, cluster)
    typer.echo((folder / PAGE).read_text(encoding="utf8"))
    typer.echo(f"results: {folder / PAGE}")


def _carry_out(
    stacks: "Sequence[Stack]", folder: Path, chosen: "Design", command: str, jobs: int, cluster: str | None
) -> None:
    """Train, measure, and write the results, those of what is done also where trainings failed."""
    from monai_app.cli.progress import progress_bar
    from monai_app.study.execution import carry_out, check_lengths, measure_costs
    from monai_app.study.findings import findings
    from monai_app.study.labels.stacks import with_fewer_labels
    from monai_app.study.outcomes import read_outcomes
    from monai_app.study.report.folder import write_results
    from monai_app.study.robustness.measuring import measure
    from monai_app.study.runs import runs_of
    from monai_app.study.sections import sections_of
    from monai_app.study.setup import cleaned_stacks
    from monai_app.study.transfer.measuring import measure_transfer

    cleaned = cleaned_stacks(chosen, stacks, folder, lambda name: progress_bar(name, "step"))
    runs = with_fewer_labels(runs_of(chosen, stacks, folder, cleaned), chosen, folder)
    compared = [run for run in runs if run.variant.labels is None]
    raw = {each.store_name: each for each in stacks}
    check_lengths(runs, chosen)
    failed: FailedError | None = None
    typer.echo(f"{len(runs)} runs in {folder / 'runs'}; each has its log beside it")
    try:
        try:
            with progress_bar("study", "run") as progress:
                carry_out(runs, chosen, jobs=jobs, cluster=cluster, report=typer.echo, progress=progress)
        except FailedError as error:  # the others are done, and are measured
            failed = error
        with progress_bar("time", "variant") as progress:
            measure_costs(compared, raw, progress)
        with progress_bar("other samples", "slice") as progress:
            measure_transfer(compared, stacks, progress)
        with progress_bar("robustness", "slice") as progress:
            measure(compared, chosen.robustness.conditions, raw, progress)
    finally:
        outcomes = read_outcomes(runs)
        found = findings(chosen, runs, outcomes)
        if found.outcomes:
            write_results(found, sections_of(chosen, compared, outcomes, stacks), folder, command)
    if failed is not None:
        raise failed


def shown_command(
    given: list[Path], file: Path | None, design: "Design", jobs: int | None, cluster: str | None = None
) -> str:
    """Return the command that carries out a design, with paths shortened to their last part: results are published."""
    words = ["monai-app", "study", *(path.name for path in given), *(("--design", file.name) if file else ())]
    words += ["--seeds", ",".join(map(str, design.seeds)), "--epochs", str(design.epochs)]
    return shlex.join([*words, *(("--jobs", str(jobs)) if jobs else ()), *(("--cluster", cluster) if cluster else ())])
