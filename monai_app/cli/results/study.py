"""``monai-app study``."""

from pathlib import Path
from typing import Annotated

import typer


def study(
    given: Annotated[
        list[Path], typer.Argument(metavar="STACK... FOLDER", help="Stacks, NAME.ome.zarr, and the study's folder.")
    ],
    design: Annotated[
        Path | None,
        typer.Option(help="What is compared, as YAML. [default: every network, number of slices and set of detectors]"),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2. [default: the design's or 0,1,2]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training. [default: the design's or 12]")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at the same time.")] = 1,
) -> None:
    """Train variants of a model alike, with several seeds, and say which differences between them are shown.

    The same command resumes a study; more seeds or variants are added to what is done.
    """
    from monai_app.cli.progress import progress_bar
    from monai_app.study.execution import carry_out
    from monai_app.study.findings import findings
    from monai_app.study.outcomes import read_outcomes
    from monai_app.study.report.folder import write_results
    from monai_app.study.report.page import PAGE, page_lines
    from monai_app.study.runs import runs_of
    from monai_app.study.setup import begin_study, cleaned_stacks
    from monai_app.study.transfer.measuring import measure_transfer, read_transferred
    from monai_app.study.transfer.section import transfer_section

    stacks, folder, chosen = begin_study(given, design, seeds, epochs)
    cleaned = cleaned_stacks(chosen, stacks, folder, lambda name: progress_bar(name, "step"))
    runs = runs_of(chosen, stacks, folder, cleaned)
    typer.echo(f"{len(runs)} runs in {folder / 'runs'}; each has its log beside it")
    try:
        with progress_bar("study", "run") as progress:
            carry_out(runs, chosen, jobs=jobs, report=typer.echo, progress=progress)
        with progress_bar("other samples", "slice") as progress:
            measure_transfer(runs, stacks, progress)
    finally:
        outcomes = read_outcomes(runs)
        found = findings(chosen, runs, outcomes)
        transfer = transfer_section(chosen, outcomes, [*read_transferred(runs, stacks)], stacks)
        sections = [each for each in (transfer,) if each is not None]
        if found.outcomes:
            write_results(found, sections, folder)
    for line in page_lines(found, sections):
        typer.echo(line)
    typer.echo(f"results: {folder / PAGE}")
