"""A worker for tiles, in which reading, computing and writing overlap."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from threading import BoundedSemaphore
from typing import Protocol

import numpy as np
import torch

from monai_app.device.memory import enough_memory
from monai_app.device.precision import Precision, full_precision
from monai_app.domain.region import Rect
from monai_app.errors import StoppedError
from monai_app.inference.compute import TileNetwork
from monai_app.inference.model import Model
from monai_app.inference.outputs import ChunkRows, Outputs
from monai_app.inference.streaming.upload import Raw
from monai_app.inference.tiling.plan import Plan, Tile
from monai_app.progress import Progress
from monai_app.stack import SlabSource
from monai_app.stack.label_images.arrays import Checksum, Planes
from monai_app.stack.mask import Mask

_WAITING = 4
"""Blocks of chunk rows that may wait to be written."""

Advance = Callable[[int], None]
"""Called with the number of pixels that were computed since the last call."""


class Sink(Protocol):
    """Where planes are kept: the arrays of a result, or memory."""

    def write(self, z: int, rect: Rect, planes: Planes) -> None:
        """Keep the planes of a rectangle of slice z."""


def advancing(progress: Progress, tiles: Sequence[Tile]) -> Advance:
    """Report the pixels that are computed of tiles and their total, first with none computed."""
    total, done = sum(tile.computed for tile in tiles), 0
    progress(0, total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


@dataclass(frozen=True)
class Job:
    """The parameters of computing tiles; picklable if its stack and arrays are.

    The model's weights are loaded; without a mask all of each slice is segmented.
    """

    stack: SlabSource
    model: Model
    plan: Plan
    outputs: Outputs
    arrays: Sink
    mask: Mask | None
    device: torch.device
    precision: Precision


class TileWorker:
    """Computes tiles of one job in sequence; it must be closed."""

    def __init__(self, job: Job, network: TileNetwork | None = None) -> None:
        self.job = job
        self.network = network or TileNetwork(job.model, job.device, job.precision)
        self._read_rect: Rect | None = None
        self._kept: dict[int, Raw] = {}
        self._read_ahead: tuple[int, Future[dict[int, Raw]]] | None = None
        self._reading, self._writing = ThreadPoolExecutor(1, "read"), ThreadPoolExecutor(1, "write")
        self._room = BoundedSemaphore(_WAITING)
        self._failure: Exception | None = None

    def stop(self) -> None:
        """Make the current tile fail at its next write, because its result is no longer needed."""
        self._failure = StoppedError("the run of this tile has ended; nothing is lost")

    def close(self) -> None:
        """End the threads after writing pending data."""
        self._reading.shutdown(cancel_futures=True)
        self._writing.shutdown()

    def run(self, tile: Tile, following: Tile | None = None, advance: Advance = lambda _: None) -> "Future[int]":
        """Compute a tile while the next one is read and the last one written.

        Returns:
            The checksum of its pixels, as soon as all of them are written.

        Raises:
            StackError: the store cannot be read, or could not be written.
            ConfigError: the device's memory is full.
        """
        planes = self._planes(tile)
        if following is not None:
            self._read_ahead = (following.number, self._reading.submit(self._read, following))
        plan, targets, mask = self.job.plan, tile.write.z, self.job.mask
        checksum, writes = Checksum(), list[Future[None]]()
        rows = [ChunkRows(tile, z) for z in targets.range]
        with full_precision(), enough_memory(self.job.device):
            for target, first, logits in self.network.logits(planes, plan.sequence(tile), len(targets), plan.stripe):
                z = rows[target].z
                for rect, part in rows[target].add(first, logits, self.job.outputs):
                    masked = part if mask is None else mask.apply(part, z, rect)
                    checksum.add(z, masked)
                    writes.append(self._write(z, rect, masked))
                advance(logits.shape[0] * tile.read.shape[1])
        return self._writing.submit(_settled, writes, checksum)

    def _planes(self, tile: Tile) -> dict[int, Raw]:
        ahead, self._read_ahead = self._read_ahead, None
        if ahead is not None and ahead[0] == tile.number:
            return ahead[1].result()
        return self._reading.submit(self._read, tile).result()

    def _read(self, tile: Tile) -> dict[int, Raw]:
        """The grey values (detectors, rows, columns) of every slice that a tile reads, those of the last tile kept."""
        if self._read_rect != tile.read:
            self._read_rect, self._kept = tile.read, {}
        wanted = dict.fromkeys(self.job.plan.sequence(tile))
        self._kept = {z: self._kept[z] if z in self._kept else self._read_slice(tile, z) for z in wanted}
        return self._kept

    def _read_slice(self, tile: Tile, z: int) -> Raw:
        """Of one slice, padded where the tile lies beyond it."""
        plan = self.job.plan
        grey = self.job.stack.read_slab(z, self.job.model.spec.detectors, 1, plan.stored(tile))
        below, right = plan.padding(tile)
        return np.pad(grey, ((0, 0), (0, below), (0, right)), mode="edge") if below or right else grey

    def _write(self, z: int, rect: Rect, planes: Planes) -> "Future[None]":
        self._room.acquire()
        if self._failure is not None:  # a full disk is no reason to compute the tile to its end
            self._room.release()
            raise self._failure

        def write() -> None:
            try:
                self.job.arrays.write(z, rect, planes)
            except Exception as error:
                self._failure = error
                raise
            finally:
                self._room.release()

        return self._writing.submit(write)


def _settled(writes: "list[Future[None]]", checksum: Checksum) -> int:
    for write in writes:
        write.result()
    return checksum.value


def compute_here(
    job: Job, network: TileNetwork, tiles: Sequence[Tile], advance: Advance
) -> Generator[tuple[int, int], None, None]:
    """Compute tiles in this process; the last one is written while the next one is computed.

    Yields:
        Number and checksum of every tile, when it is written.
    """
    waiting: deque[tuple[int, Future[int]]] = deque()
    with closing(TileWorker(job, network)) as worker:
        for tile, following in zip_longest(tiles, tiles[1:]):
            waiting.append((tile.number, worker.run(tile, following, advance)))
            if len(waiting) > 1:
                number, checksum = waiting.popleft()
                yield number, checksum.result()
        for number, checksum in waiting:
            yield number, checksum.result()
