"""Run a study: train, measure, and write the results."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from monai_app.errors import BusyError, FailedError
from monai_app.progress import Progress, counted
from monai_app.stack import Stack
from monai_app.study.design import Design, read_design
from monai_app.study.execution import check_lengths, measure_costs, run_all
from monai_app.study.findings import findings
from monai_app.study.labels.section import labels_section
from monai_app.study.labels.stacks import with_fewer_labels
from monai_app.study.outcomes import Outcome, read_outcomes
from monai_app.study.report.folder import write_results
from monai_app.study.report.section import Section
from monai_app.study.robustness.measuring import measure_robustness
from monai_app.study.robustness.section import robustness_section
from monai_app.study.runs import StudyRun, runs_of
from monai_app.study.setup import FILE, alone_in, cleaned_stacks
from monai_app.study.transfer.measuring import measure_transfer, read_transferred
from monai_app.study.transfer.section import transfer_section


def conduct(
    stacks: Sequence[Stack],
    folder: Path,
    design: Design,
    command: str,
    *,
    jobs: int,
    cluster: str | None,
    report: Callable[[str], None],
    progress: Callable[[str, str], AbstractContextManager[Progress]],
) -> None:
    """Train and measure what is missing, and write the results of all completed runs, even if trainings failed.

    Args:
        stacks: the samples, as `begin_study` gives them.
        folder: likewise.
        design: likewise.
        command: that was given, for the results.
        jobs: trainings at the same time on this machine.
        cluster: address of a Dask scheduler whose workers train instead; None for this machine.
        report: called with what was done, line by line.
        progress: makes what shows the progress of a piece of work, by its name and what is counted.

    Raises:
        BusyError: another command uses the folder, or changed its design meanwhile.
        FailedError: trainings failed; all others are done and measured.
        AppError: see `run_all`.
    """
    with alone_in(folder):
        if read_design(folder / FILE) != design:
            raise BusyError(f"another command changed {folder / FILE} at the same moment; run the same command again")
        cleaned = cleaned_stacks(design, stacks, folder, lambda name: progress(name, "step"))
        runs = with_fewer_labels(runs_of(design, stacks, folder, cleaned), design, folder)
        check_lengths(runs, design)
        report(f"{counted(len(runs), 'run')} in {folder / 'runs'}; each has its log next to it")
        compared = [run for run in runs if run.variant.labels is None]
        try:
            failed = _trained(runs, design, jobs, cluster, report, progress)
            _measure(compared, design, stacks, progress)
        finally:
            outcomes = read_outcomes(runs)
            found = findings(design, runs, outcomes)
            if found.outcomes:
                write_results(found, _sections(design, compared, outcomes, stacks), folder, command)
        if failed is not None:
            raise failed


def _trained(
    runs: Sequence[StudyRun],
    design: Design,
    jobs: int,
    cluster: str | None,
    report: Callable[[str], None],
    progress: Callable[[str, str], AbstractContextManager[Progress]],
) -> FailedError | None:
    """Carry out the runs; return what failed, because the others are to be measured."""
    try:
        with progress("study", "run") as shown:
            run_all(runs, design, jobs=jobs, cluster=cluster, report=report, progress=shown)
    except FailedError as error:
        return error
    return None


def _measure(
    runs: Sequence[StudyRun],
    design: Design,
    stacks: Sequence[Stack],
    progress: Callable[[str, str], AbstractContextManager[Progress]],
) -> None:
    """Measure what is not trained for: the cost of predicting, other samples, artefacts."""
    raw = {stack.store_name: stack for stack in stacks}
    with progress("time", "variant") as shown:
        measure_costs(runs, raw, shown)
    with progress("other samples", "slice") as shown:
        measure_transfer(runs, stacks, shown)
    with progress("robustness", "slice") as shown:
        measure_robustness(runs, design.robustness.conditions, raw, shown)


def _sections(
    design: Design, runs: Sequence[StudyRun], outcomes: Sequence[Outcome], stacks: Sequence[Stack]
) -> list[Section]:
    """Return the further parts of the results for which anything was measured."""
    raw = {stack.store_name: stack for stack in stacks}
    found = (
        labels_section(design, outcomes, [*raw]),
        transfer_section(design, outcomes, [*read_transferred(runs, stacks)], stacks),
        robustness_section(design, runs, raw),
    )
    return [each for each in found if each is not None]
