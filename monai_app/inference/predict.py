"""Labels of some slices in memory, computed as for complete stacks."""

from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import zip_longest

import numpy as np
import torch

from monai_app.device.precision import Precision
from monai_app.domain.region import Rect, Region, Span
from monai_app.errors import ConfigError
from monai_app.inference.compute import prepare
from monai_app.inference.model import Model
from monai_app.inference.outputs import Outputs
from monai_app.inference.tiling.plan import Plan, Tile
from monai_app.inference.tiling.planner import Planner
from monai_app.inference.tiling.request import Request
from monai_app.inference.worker import Job, TileWorker, advancing
from monai_app.progress import Progress, silent
from monai_app.stack import SlabSource, Stack
from monai_app.stack.label_images.arrays import Planes
from monai_app.stack.mask import Mask


class Predictor:
    """A model that is ready to label slices; it is loaded, measured and recorded once, and later calls are fast.

    The labels are those that `Segmentation` writes: plan, tiles, network and outputs are the same. (Where two phases
    are equal up to float32's rounding, other tiles may give the other one, there as here.) Not for several threads at
    a time.

    Attributes:
        halo: pixels read around a tile.
        network: the network as a function of tiles.

    Raises:
        ConfigError: there are no weights or they do not fit, or the device does not know the precision.
    """

    def __init__(self, model: Model, device: torch.device | str = "cpu", precision: Precision = "float32") -> None:
        self.model, self.device, self.precision = model, torch.device(device), precision
        self.network, self.halo = prepare(model, self.device, precision)

    def predict(
        self,
        stack: SlabSource,
        slices: Sequence[int],
        rect: Rect | None = None,
        outputs: Outputs | None = None,
        request: Request | None = None,
        progress: Progress = silent,
    ) -> Generator[tuple[int, Planes], None, None]:
        """Label slices; nothing is computed before the first one is asked for, and closing the iterator ends the work.

        Args:
            stack: an ingested stack, or arrays in memory (`ArrayStack`).
            slices: z of the slices. Consecutive ones are the fastest, because Sensor-3D's slabs share their work.
            rect: rows and columns to label; all where None.
            outputs: what is computed in addition to the labels.
            request: tile and memory, where they are not left to the planner.
            progress: called with the pixels computed and their total.

        Returns:
            An iterator of z, ascending and each once, and the planes of the rectangle: "labels" (rows, columns) and
            the maps that the outputs ask for.

        Raises:
            ConfigError: the stack lacks a detector, the model has a scaling of each of its training stacks, the
                rectangle leaves the slice, or the memory is too little.
            StackError: pixels of another type, or there is no such slice.
        """
        outputs = (outputs or Outputs()).calibrated(self.model.temperature)
        plan, tiles = self._plan(stack, slices, rect, outputs, request or Request())
        return self._computed(stack, plan, tiles, outputs, progress)

    def _plan(
        self, stack: SlabSource, slices: Sequence[int], rect: Rect | None, outputs: Outputs, request: Request
    ) -> tuple[Plan, list[Tile]]:
        """The plan, and its tiles that hold one of the slices, slice after slice."""
        self.model.spec.check_stack(stack)
        for z in slices:
            stack.check_slice(z)
        if not slices:
            raise ConfigError("no slice is requested; give at least one z")
        rect = rect or Rect.whole(stack.shape)
        region = Region(Span(min(slices), max(slices) + 1), rect.y, rect.x)
        region.check_within(stack.shape)
        planner = Planner(self.network, stack.shape, stack.dtype.itemsize, outputs, stack.gaps)
        wanted = set(slices)
        plan = planner.choose(region, self.halo, request, single=len(wanted) < len(region.z))
        tiles = [tile for tile in plan.tiles if wanted.intersection(tile.write.z.range)]
        return plan, sorted(tiles, key=lambda tile: tile.write.z)

    def _computed(
        self, stack: SlabSource, plan: Plan, tiles: Sequence[Tile], outputs: Outputs, progress: Progress
    ) -> Generator[tuple[int, Planes], None, None]:
        memory = _Memory(plan.region.rect)
        mask = Mask(stack) if isinstance(stack, Stack) else None
        job = Job(stack, self.model, plan, outputs, memory, mask, self.device, self.precision)
        advance, waiting = advancing(progress, tiles), []
        with closing(TileWorker(job, self.network)) as worker:
            for tile, following in zip_longest(tiles, tiles[1:]):
                waiting.append(worker.run(tile, following, advance))
                if following is not None and following.write.z == tile.write.z:
                    continue
                while waiting:
                    waiting.pop().result()
                yield from ((z, memory.take(z)) for z in tile.write.z.range)


class _Memory:
    """Keeps the planes of slices until they are taken; ``rect`` is what is computed of every slice."""

    def __init__(self, rect: Rect) -> None:
        self._rect = rect
        self._planes: dict[int, Planes] = {}

    def write(self, z: int, rect: Rect, planes: Planes) -> None:
        """Keep the planes of a rectangle of slice z."""
        kept, inside = self._planes.setdefault(z, {}), rect.relative_to(self._rect).index
        for name, plane in planes.items():
            if name not in kept:
                kept[name] = np.zeros((*plane.shape[:-2], *self._rect.shape), np.uint8)
            kept[name][..., *inside] = plane

    def take(self, z: int) -> Planes:
        """Give the planes of slice z away."""
        return self._planes.pop(z)
