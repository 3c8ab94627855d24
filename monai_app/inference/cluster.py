"""Computing tiles in several processes or on several machines with Dask; tiles of lost workers are repeated by others.

Every machine must have the store under the same path. No two tiles share a chunk, so writers are independent; a tile
that is written twice has the same bytes.
"""

import os
import pickle
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast
from uuid import uuid4

import dask
import distributed
import torch
from distributed.worker import get_worker

from monai_app.background.cluster import connected, losses_reported, tasks_of
from monai_app.device.malloc import keep_freed_memory
from monai_app.inference.tiling.plan import Tile
from monai_app.inference.worker import Advance, Job, TileWorker
from monai_app.progress import counted
from monai_app.temporary import temporary_files_in, temporary_folder

_NO_PAGES: dict[str, list[str]] = {f"distributed.{server}.http.routes": [] for server in ("scheduler", "worker")}
"""Dask's servers of web pages, which it starts without asking, show none; they know no key."""


class _Computing(distributed.WorkerPlugin):
    """Puts a job into every worker, those that come later included, before they get tiles.

    Every run has its own name, so that runs sharing a cluster do not interfere. ``threads`` are torch's in every
    worker; None takes the cores that it may use.
    """

    def __init__(self, name: str, job: Job, threads: int | None) -> None:
        self.name, self.threads = name, threads
        self._job = pickle.dumps(job)  # opened in `setup` only: workers that come when a result is done cannot open it

    def setup(self, worker: distributed.Worker) -> None:
        # Dask starts workers with one thread for OpenMP.
        torch.set_num_threads(self.threads or len(os.sched_getaffinity(0)))
        keep_freed_memory()
        self.lock = Lock()  # for workers with several threads: torch has its own threads
        self.tiles = TileWorker(pickle.loads(self._job))

    def teardown(self, worker: distributed.Worker) -> None:
        self.tiles.stop()
        self.tiles.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "threads": self.threads, "_job": self._job}


def _compute(tile: Tile, name: str) -> int:
    plugin = cast(_Computing, get_worker().plugins[name])
    with plugin.lock:
        return plugin.tiles.run(tile).result()


def compute_on_cluster(
    job: Job, tiles: Sequence[Tile], address: str | None, workers: int, advance: Advance
) -> Generator[tuple[int, int], None, None]:
    """Compute tiles on a Dask cluster.

    It is that of a running scheduler's address; None starts ``workers`` processes on this machine.

    Yields:
        Number and checksum of every tile, when it is written.

    Raises:
        ConfigError: the address is none that Dask can use, for instance of TLS without certificates.
        StoppedError: the scheduler cannot be reached or is gone, or a tile killed every worker that tried it.
        AppError: what a worker raised that a person can correct.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // workers) if address is None else None
    where = connected(address) if address is not None else _own_cluster(workers)
    with losses_reported(address or f"of {counted(workers, 'worker')}"), where as client:
        yield from _computed(client, job, tiles, threads, advance)


def _computed(
    client: distributed.Client, job: Job, tiles: Sequence[Tile], threads: int | None, advance: Advance
) -> Iterator[tuple[int, int]]:
    name = f"monai-app-{uuid4().hex}"
    by_key = {f"{name}-{tile.number}": tile for tile in tiles}
    with tasks_of(client, _Computing(name, job, threads), name) as futures:
        futures += client.map(_compute, list(tiles), name=name, key=list(by_key), retries=0)
        for future in distributed.as_completed(futures):  # type: ignore[no-untyped-call]
            tile, checksum = by_key[future.key], future.result()
            advance(tile.computed)
            yield tile.number, checksum


@contextmanager
def _own_cluster(workers: int) -> Iterator[distributed.Client]:
    """Start processes on this machine."""
    with (
        temporary_folder("workers") as folder,
        temporary_files_in(folder),  # Dask leaves locks and, for a moment, keys
        dask.config.set(_NO_PAGES),
        distributed.LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            # Whoever reaches a scheduler or a worker has it run code, so they talk to those alone that have this key.
            host="127.0.0.1",
            protocol="tls://",
            security=distributed.Security.temporary(),  # type: ignore[no-untyped-call]
            dashboard_address=None,
            worker_dashboard_address=None,
            # Any free port: the scheduler serves HTTP, without pages, on 8787 otherwise, and warns if that is in use.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=None,  # the plan sees to the memory; with a limit Dask would pause or kill
        ) as cluster,
        distributed.Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        yield client
