"""The same tiles on several processes or machines, by Dask: lost workers' tiles are done again by others.

Every machine must see the store under the same path. No two tiles share a chunk, so writers do not know of each other;
a tile that is written twice is written with the same bytes.
"""

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

import distributed
import torch
from distributed.worker import get_worker

from monai_app.errors import StoppedError, user_error
from monai_app.inference.plan import Tile
from monai_app.inference.worker import Advance, Job, TileWorker

_PLUGIN = "monai-app-segmentation"

_PATIENCE = "20s"
"""How long a scheduler may take to answer."""

_LOST = (OSError, TimeoutError, asyncio.TimeoutError, CancelledError, distributed.scheduler.KilledWorker)
"""What the client raises when the scheduler is gone, or a tile killed every worker that tried it."""


class _Computing(distributed.WorkerPlugin):
    """Puts a job into every worker, those that come later included, before they get tiles."""

    name = _PLUGIN

    def __init__(self, job: Job, threads: int | None) -> None:
        self.job, self.threads = job, threads

    def setup(self, worker: distributed.Worker) -> None:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        self.lock = Lock()  # for workers with several threads: torch has threads of its own
        self.tiles = TileWorker(self.job)

    def teardown(self, worker: distributed.Worker) -> None:
        self.tiles.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self.job, "threads": self.threads}


def _compute(tile: Tile) -> int:
    plugin = cast(_Computing, get_worker().plugins[_PLUGIN])
    with plugin.lock:
        return plugin.tiles.run(tile).result()


def compute_on_cluster(
    job: Job, tiles: Sequence[Tile], address: str | None, workers: int, advance: Advance
) -> Iterator[tuple[int, int]]:
    """Compute tiles on a Dask cluster.

    Args:
        job: the job.
        tiles: the tiles.
        address: of a running scheduler; None starts ``workers`` processes on this machine.
        workers: how many.
        advance: called with the pixels of every tile that is done.

    Yields:
        Number and checksum of every tile, when it is written.

    Raises:
        StoppedError: the scheduler cannot be reached or is gone, or a tile killed every worker that tried it.
        AppError: what a worker raised that a person can mend.
    """
    logging.getLogger("distributed").setLevel(logging.WARNING)  # every connection is news to it
    by_key = {f"tile-{tile.number}": tile for tile in tiles}
    try:
        with _client(address, workers) as client:
            client.register_plugin(_Computing(job, _threads(workers) if address is None else None))
            # Not pure: what a tile gives is on the disk, so another run's result must not be taken for it.
            futures = client.map(_compute, list(tiles), key=list(by_key), pure=False, retries=0)
            for future in distributed.as_completed(futures):  # type: ignore[no-untyped-call]
                tile, checksum = by_key[future.key], future.result()
                advance(len(tile.z) * len(tile.read_y) * len(tile.read_x))
                yield tile.number, checksum
    except _LOST as error:
        cause = user_error(error)
        if cause is not None:
            raise cause from error
        where = address or f"of {workers} processes"
        raise StoppedError(
            f"the cluster {where} was lost ({type(error).__name__}: {error}); what is done is kept: look at its "
            "workers' logs, and give the same command again to go on"
        ) from error


def _threads(workers: int) -> int:
    return max(1, len(os.sched_getaffinity(0)) // workers)


@contextmanager
def _client(address: str | None, workers: int) -> Iterator[distributed.Client]:
    if address is not None:
        with distributed.Client(address, timeout=_PATIENCE) as client:  # type: ignore[no-untyped-call]
            yield client
        return
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    cluster = distributed.LocalCluster(**options)  # type: ignore[no-untyped-call]
    with cluster, distributed.Client(cluster) as client:  # type: ignore[no-untyped-call]
        yield client
