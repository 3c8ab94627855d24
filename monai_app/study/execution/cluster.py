"""The runs of a study on the workers of a Dask cluster; what a lost worker was at is resumed by another."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import distributed
from distributed.scheduler import KilledWorker
from distributed.worker import get_worker

from monai_app.background.cluster import LOST, connected, losses_told
from monai_app.bundle.prepare import CHECKPOINT
from monai_app.errors import ConfigError
from monai_app.files import atomic_file, lock, lock_path
from monai_app.study.design import Design
from monai_app.study.execution.commands import Commands
from monai_app.study.execution.completion import Completion, complete
from monai_app.study.runs import StudyRun

_NAME = "monai-app-study"


class _Carrying(distributed.WorkerPlugin):
    """Checks every worker, those that come later included, and ends its processes with the study's command.

    Args:
        name: of this study among those that share the cluster.
        shared: a file that holds this name.
        stores: that the runs are trained on.
    """

    def __init__(self, name: str, shared: Path, stores: Sequence[Path]) -> None:
        self.name, self.shared, self.stores = name, shared, stores

    def setup(self, worker: distributed.Worker) -> None:
        # Dask starts workers with one thread for OpenMP.
        threads = max(len(os.sched_getaffinity(0)) // worker.state.nthreads, 1)
        self.commands = Commands({"OMP_NUM_THREADS": str(threads)})
        _check_shared(worker.address, self.name, self.shared, self.stores)

    def teardown(self, worker: distributed.Worker) -> None:
        self.commands.kill()

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "shared": self.shared, "stores": self.stores}


def completed_on_cluster(
    runs: Sequence[StudyRun], design: Design, address: str
) -> Generator[tuple[StudyRun, Completion], None, None]:
    """Complete runs on a cluster whose workers see stacks and study under the same paths.

    Every thread of a worker carries out one run at a time; they share the cores that the worker may use.

    Args:
        runs: the runs.
        design: how they are trained.
        address: of a Dask scheduler.

    Yields:
        Each run when it ended.

    Raises:
        ConfigError: the address is none that Dask can use, or a worker does not see the files.
        StoppedError: the scheduler cannot be reached or is gone.
    """
    name = f"{_NAME}-{uuid4().hex}"
    with losses_told(address), connected(address) as client, _shared_file(runs[0], name) as shared:
        futures: dict[Any, StudyRun] = {}
        try:
            client.register_plugin(_Carrying(name, shared, sorted({run.stack.path for run in runs})))
            for number, run in enumerate(runs):
                futures[client.submit(_complete, run, design, name, key=f"{name}-{number}", retries=0)] = run
            for future in distributed.as_completed(futures):  # type: ignore[no-untyped-call]
                yield futures[future], _result(future)
        finally:
            with suppress(*LOST, OSError):  # where the scheduler is gone, so is the plugin
                client.cancel(list(futures))  # type: ignore[no-untyped-call]
                client.unregister_worker_plugin(name)  # type: ignore[no-untyped-call]


def _complete(run: StudyRun, design: Design, name: str) -> Completion:
    """Complete a run in a worker."""
    commands = cast(_Carrying, get_worker().plugins[name]).commands
    checkpoint = run.folder / CHECKPOINT
    if checkpoint.parent.is_dir():
        with lock(lock_path(checkpoint)):  # a training of a worker that was lost ends a moment after it, or is finished
            pass
    completion = complete(run, design, commands)
    if commands.killed:  # the worker is about to leave
        raise distributed.Reschedule
    return completion


def _result(future: Any) -> Completion:
    try:
        return cast(Completion, future.result())
    except KilledWorker as error:
        return Completion(False, f"{error}; look at the workers' logs")


@contextmanager
def _shared_file(run: StudyRun, name: str) -> Generator[Path, None, None]:
    """Write a file into the study's folder that every worker must see."""
    for left in run.study.glob(f".{_NAME}-*"):  # by a command that was killed
        left.unlink()
    path = run.study / f".{name}"
    with atomic_file(path) as temporary:
        temporary.write_text(name, encoding="utf8")
    try:
        yield path
    finally:
        path.unlink()


def _check_shared(worker: str, name: str, shared: Path, stores: Sequence[Path]) -> None:
    """Refuse a worker that lacks the file or a store."""
    seen = shared.is_file() and shared.read_text(encoding="utf8") == name
    missing = [*([] if seen else [shared.parent]), *(store for store in stores if not (store / "zarr.json").is_file())]
    if missing:
        raise ConfigError(
            f"worker {worker} does not see {missing[0]}; put stacks and study on a file system that all machines "
            "have under the same path"
        )
