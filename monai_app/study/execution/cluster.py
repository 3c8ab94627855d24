"""The runs of a study on the workers of a Dask cluster; the run of a lost worker is resumed by another one."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import distributed
from distributed.scheduler import KilledWorker
from distributed.worker import get_worker

from monai_app.background.cluster import connected, losses_reported, tasks_of
from monai_app.errors import ConfigError
from monai_app.files import atomic_file
from monai_app.study.design import Design
from monai_app.study.execution.commands import Commands
from monai_app.study.execution.completion import Completion, complete
from monai_app.study.runs import StudyRun

_NAME = "monai-app-study"

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Dask's workers start with one thread for each of them."""


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
        threads = max(len(os.sched_getaffinity(0)) // worker.state.nthreads, 1)
        self.commands = Commands(dict.fromkeys(_THREADS, str(threads)))
        self.check(worker)

    def check(self, worker: distributed.Worker) -> None:
        """Refuse a worker that lacks the file or a store."""
        seen = self.shared.is_file() and self.shared.read_text(encoding="utf8") == self.name
        lacking = [store for store in self.stores if not (store / "zarr.json").is_file()]
        missing = [*([] if seen else [self.shared.parent]), *lacking]
        if missing:
            raise ConfigError(
                f"worker {worker.address} has no access to {missing[0]}; put stacks and study on a file system that "
                "all machines mount under the same path"
            )

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
        ConfigError: the address is none that Dask can use, there are no workers, or one does not see the files.
        StoppedError: the scheduler cannot be reached or is gone.
    """
    name = f"{_NAME}-{uuid4().hex}"
    with losses_reported(address), connected(address) as client, _shared_file(runs[0], name) as shared:
        if not client.scheduler_info()["workers"]:
            raise ConfigError(f"cluster {address} has no workers; start one on each machine: dask worker {address}")
        by_key = {f"{name}-{number}": run for number, run in enumerate(runs)}
        plugin = _Carrying(name, shared, sorted({run.stack.path for run in runs}))
        with tasks_of(client, plugin, name) as futures:
            futures += [client.submit(_complete, run, design, name, key=key, retries=0) for key, run in by_key.items()]
            for future in distributed.as_completed(futures):  # type: ignore[no-untyped-call]
                yield by_key[future.key], _result(future)


def _complete(run: StudyRun, design: Design, name: str) -> Completion:
    """Complete a run in a worker."""
    worker = get_worker()
    plugin = cast(_Carrying, worker.plugins[name])
    plugin.check(worker)  # of workers that join later Dask lets no plugin refuse any
    completion = complete(run, design, plugin.commands)
    if plugin.commands.killed:  # the worker is about to leave
        raise distributed.Reschedule
    return completion


def _result(future: Any) -> Completion:
    try:
        return cast(Completion, future.result())
    except KilledWorker as error:
        return Completion(False, f"{error}; see the workers' logs")


@contextmanager
def _shared_file(run: StudyRun, name: str) -> Generator[Path, None, None]:
    """Write a file into the study's folder that every worker must see."""
    path = run.study / f".{_NAME}"
    with atomic_file(path) as temporary:
        temporary.write_text(name, encoding="utf8")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
