"""Run all trainings of a study."""

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing

from monai_app.errors import FailedError
from monai_app.progress import Progress, silent
from monai_app.study.design import Design
from monai_app.study.execution.commands import Commands
from monai_app.study.execution.completion import Completion, complete
from monai_app.study.runs import StudyRun

_Completed = Generator[tuple[StudyRun, Completion], None, None]


def run_all(
    runs: Sequence[StudyRun],
    design: Design,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    report: Callable[[str], None] = lambda line: None,
    progress: Progress = silent,
) -> None:
    """Train and score every run that is not done.

    A stopped training is resumed. A failure does not stop the others, nor does a run that was trained on other
    annotations, which stays unchanged.

    Args:
        runs: the runs.
        design: how they are trained.
        jobs: trainings at the same time on this machine.
        cluster: address of a Dask scheduler, whose workers carry out the runs instead.
        report: called with what was done, line by line.
        progress: called for every run.

    Raises:
        ConfigError: the cluster's address is none, it has no workers, or one does not see the study's folder.
        StoppedError: the cluster was lost.
        FailedError: trainings failed; all others are done.
    """
    failed = []
    progress(0, len(runs))
    with closing(_completed(runs, design, jobs, cluster)) as completed:
        for number, (run, completion) in enumerate(completed, 1):
            if completion.error:
                failed.append(f"{run.name}: {completion.error}")
            elif completion.changed:
                report(f"done: {run.name}")
            progress(number, len(runs))
    if failed:
        raise FailedError("\n".join([f"{len(failed)} of {len(runs)} runs failed:", *failed]))


def _completed(runs: Sequence[StudyRun], design: Design, jobs: int, cluster: str | None) -> _Completed:
    if cluster is None:
        return _completed_here(runs, design, jobs)
    from monai_app.study.execution.cluster import completed_on_cluster

    return completed_on_cluster(runs, design, cluster)


def _completed_here(runs: Sequence[StudyRun], design: Design, jobs: int) -> _Completed:
    """Complete so many runs at a time, which share the processor's cores unless the environment says otherwise."""
    shared = jobs > 1 and "OMP_NUM_THREADS" not in os.environ
    threads = {"OMP_NUM_THREADS": str(max(len(os.sched_getaffinity(0)) // jobs, 1))} if shared else {}
    pool, commands = ThreadPoolExecutor(jobs), Commands(threads)
    try:
        tasks = {pool.submit(complete, run, design, commands): run for run in runs}
        for task in as_completed(tasks):
            yield tasks[task], task.result()
    finally:
        commands.kill()  # where the loop was left early
        pool.shutdown(cancel_futures=True)
