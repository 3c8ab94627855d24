"""One tile from the store to the store: reading ahead, computing and writing overlap."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import BoundedSemaphore

import numpy as np
import torch

from monai_app.inference.compute import Raw, TileNetwork
from monai_app.inference.mask import Mask
from monai_app.inference.model import Model
from monai_app.inference.outputs import ChunkRows, Outputs
from monai_app.inference.plan import Plan, Tile
from monai_app.stack import Stack
from monai_app.stack.result_arrays import Checksum, Planes, ResultArrays

_WAITING = 4
"""Blocks of chunk rows that may wait to be written."""

Advance = Callable[[int], None]
"""Called with the number of pixels that were computed since the last call."""


@dataclass(frozen=True)
class Job:
    """What a process must know to compute tiles; it can be pickled.

    Attributes:
        stack: the stack.
        model: the model, its weights loaded.
        plan: the plan that the tiles belong to.
        outputs: what is stored.
        arrays: where.
        mask: what is segmented of each slice.
    """

    stack: Stack
    model: Model
    plan: Plan
    outputs: Outputs
    arrays: ResultArrays
    mask: Mask


class TileReader:
    """Reads the slices of tiles; those that the tile before read too are not read again."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._planes: dict[tuple[Tile, int] | tuple[object, ...], Raw] = {}

    def read(self, tile: Tile) -> dict[int, Raw]:
        """Return the grey values (detectors, rows, columns) of every slice that the tile reads, padded at the slice's end."""
        column = (tile.read_y, tile.read_x)
        kept = {}
        for z in self._job.plan.slab_slices(tile):
            key = (*column, z)
            kept[key] = self._planes[key] if key in self._planes else self._read(tile, z)
        self._planes = dict(kept)
        return {int(key[-1]): plane for key, plane in kept.items()}  # type: ignore[call-overload]

    def _read(self, tile: Tile, z: int) -> Raw:
        rows, columns = self._job.plan.stored(tile)
        grey = self._job.stack.read_slab(z, self._job.model.detectors, 1, (rows.index, columns.index))
        missing = [(0, len(read) - len(stored)) for read, stored in ((tile.read_y, rows), (tile.read_x, columns))]
        return np.pad(grey, [(0, 0), *missing], mode="edge") if any(map(any, missing)) else grey


class TileWorker:
    """Computes tiles of one job, one after the other; to be closed."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job = job
        self.network = TileNetwork(job.model, device)
        self._reader = TileReader(job)
        self._read_ahead: tuple[int, Future[dict[int, Raw]]] | None = None
        self._reading, self._writing = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
        self._room = BoundedSemaphore(_WAITING)

    def close(self) -> None:
        """End the threads; what waits to be written is written."""
        self._reading.shutdown(cancel_futures=True)
        self._writing.shutdown()

    def run(self, tile: Tile, following: Tile | None = None, advance: Advance = lambda _: None) -> "Future[int]":
        """Compute a tile while the next one is read and the last one written.

        Args:
            tile: the tile.
            following: the tile to read ahead.
            advance: called as pixels are computed.

        Returns:
            The checksum of its pixels, as soon as all of them are written.
        """
        planes = self._planes(tile)
        if following is not None:
            self._read_ahead = (following.number, self._reading.submit(self._reader.read, following))
        plan, targets = self.job.plan, len(tile.z)
        checksum, writes = Checksum(), list[Future[None]]()
        rows = [ChunkRows(tile, z) for z in range(tile.z.start, tile.z.stop)]
        for target, first, logits in self.network.logits(planes, plan.sequence(tile), targets, plan.stripe):
            for row, part in rows[target].add(first, logits, self.job.outputs):
                masked = self.job.mask.apply(part, rows[target].z, row, tile.x.start)
                checksum.add(rows[target].z, masked)
                writes.append(self._write(rows[target].z, row, tile.x.start, masked))
            advance(logits.shape[0] * len(tile.x))
        return self._writing.submit(_settle, writes, checksum)

    def _planes(self, tile: Tile) -> dict[int, Raw]:
        ahead, self._read_ahead = self._read_ahead, None
        if ahead is not None and ahead[0] == tile.number:
            return ahead[1].result()
        return self._reading.submit(self._reader.read, tile).result()

    def _write(self, z: int, row: int, column: int, planes: Planes) -> "Future[None]":
        self._room.acquire()

        def write() -> None:
            try:
                self.job.arrays.write(z, row, column, planes)
            finally:
                self._room.release()

        return self._writing.submit(write)


def _settle(writes: "list[Future[None]]", checksum: Checksum) -> int:
    for write in writes:
        write.result()
    return checksum.value
