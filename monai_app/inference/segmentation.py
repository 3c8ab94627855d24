"""Segment a stack: plan, compute tile by tile, publish. Stopped at any moment, the same call goes on."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from monai_app import __version__
from monai_app.errors import ConfigError, StoppedError, TargetExistsError
from monai_app.inference.field import measure_field
from monai_app.inference.mask import Mask
from monai_app.inference.model import Model
from monai_app.inference.outputs import Outputs
from monai_app.inference.plan import Plan, Tile
from monai_app.inference.planning import Planner, Request
from monai_app.inference.region import Region
from monai_app.inference.worker import Job, TileWorker
from monai_app.memory import keep_freed_memory
from monai_app.progress import LoggedProgress
from monai_app.provenance import provenance
from monai_app.stack import Stack
from monai_app.stack.results import Result, begun

ENGINE = 1
"""Version of the arithmetic: a result begun with another one is not gone on with, because a rounding may differ."""

_log = logging.getLogger(__name__)


class Segmentation:
    """The segmentation of one stack by one model into one label image.

    Args:
        model: the model.
        stack: path of the stack.
        name: the label image's name.
        device: where the network runs.
        outputs: what is stored beside the labels.
        region: slices, rows and columns to segment as texts, see `parse_span`; missing ones mean all.
        mask: what of it to segment, see `Mask`.
        request: tile and memory, where they are not left to the planner.
        overwrite: replace a finished label image of that name; begin anew where one in the making has other settings.
        preview: number of slices to segment first; the run then stops, and goes on when it is called without.
        workers: processes to compute on; 0 computes in this one.
        cluster: address of a Dask scheduler to compute on instead, e.g. ``tcp://10.0.0.1:8786``.
    """

    def __init__(
        self,
        model: Model,
        stack: str,
        name: str,
        device: torch.device | str = "cpu",
        outputs: Outputs | None = None,
        region: Mapping[str, str | None] | None = None,
        mask: str | None = None,
        request: Request | None = None,
        overwrite: bool = False,
        preview: int = 0,
        workers: int = 0,
        cluster: str | None = None,
    ) -> None:
        self.model, self.name, self.device = model, name, torch.device(device)
        self.path, self.region_texts, self.mask_source = stack, dict(region or {}), mask
        self.outputs, self.request = outputs or Outputs(), request or Request()
        self.overwrite, self.preview, self.workers, self.cluster = overwrite, preview, workers, cluster

    def run(self) -> None:
        """Segment what is left to segment.

        Raises:
            AppError: something does not fit, is in the way, or stopped the run; what is done is kept.
        """
        stack = Stack.open(self.path)
        self._check(stack)
        self.model.load()
        if self.device.type == "cpu":
            keep_freed_memory()
        mask = Mask(stack, self.mask_source)
        plan, planner = self._plan(stack)
        tiles = plan.kept(None if self.mask_source is None else mask.keeps)
        for line in plan.describe():
            _log.info("%s", line)
        with self._result(stack, plan, mask) as result, _stoppable(result):
            job = Job(stack, self.model, plan, self.outputs, result.arrays, mask)
            left = self._left(plan, tiles, result)
            _log.info("%s", planner.estimate(plan, len(left)).describe())
            self._compute(job, left, result)
            if not self.preview:
                progress = LoggedProgress("smaller levels")
                result.finish(range(plan.region.z.start, plan.region.z.stop), progress)
                return
        _log.info("the preview is ready; the same command without it goes on")

    def _check(self, stack: Stack) -> None:
        """Refuse what can be refused before anything is computed."""
        if self.name in stack.label_names() and not self.overwrite:
            raise TargetExistsError(
                f"label image {self.name!r} is already in {stack.path}; choose another name (--labels) or allow to "
                "replace it with --overwrite"
            )
        for name, value in (("preview", self.preview), ("workers", self.workers)):
            if value < 0:
                raise ConfigError(f"{name} {value}: must be 0 or more")
        unknown = set(self.region_texts) - set("zyx")
        if unknown:
            raise ConfigError(f"region has no axis {unknown.pop()!r}; give z, y and x")
        if self.cluster and self.workers:
            raise ConfigError(f"cluster {self.cluster} has workers of its own; leave out --workers {self.workers}")
        self.model.check_stack(stack)

    def _plan(self, stack: Stack) -> tuple[Plan, Planner]:
        """The plan of the result in the making, where there is one and nothing else is asked for; else a new one."""
        region = Region.parse(*(self.region_texts.get(axis) for axis in "zyx"), shape=stack.shape)
        field = measure_field(self.model.network, len(self.model.detectors) * self.model.slices, self.model.stride)
        planner = self._planner(stack)
        saved = (begun(stack.path, self.name) or {}).get("plan")
        if saved is not None and self.request == Request():
            plan = Plan.from_dict(saved)
            if (plan.region, plan.halo, plan.shape, plan.slices) == (
                region, field.halo, stack.shape, self.model.slices
            ):
                return plan, planner
        return planner.choose(region, field.halo, self.request), planner

    def _planner(self, stack: Stack) -> Planner:
        from monai_app.inference.compute import TileNetwork

        return Planner(TileNetwork(self.model, self.device), stack.shape, stack.dtype.itemsize, self.outputs)

    def _binding(self, plan: Plan, mask: Mask) -> dict[str, Any]:
        """Everything that decides the result, byte for byte."""
        return {
            "engine": ENGINE,
            "model": self.model.describe(),
            "plan": plan.to_dict(),
            "mask": mask.identity,
            "confidence": self.outputs.confidence,
            "device": self.device.type,
            "torch": torch.__version__,
        }

    @contextmanager
    def _result(self, stack: Stack, plan: Plan, mask: Mask) -> Iterator[Result]:
        with stack.write_result(
            self.name,
            maps=self.outputs.maps,
            binding=self._binding(plan, mask),
            overwrite=self.overwrite,
            attributes=provenance(str(stack.path), self.model.weights),
            phases=self.model.phases,
        ) as result:
            yield result

    def _left(self, plan: Plan, tiles: Sequence[Tile], result: Result) -> list[Tile]:
        """The tiles still to be done; those that are done are read again, and done again if they are damaged."""
        if result.done:
            spoilt = result.verify(lambda number: plan.tiles[number].boxes)
            _log.info("%d of %d tiles are done already", len(result.done), len(tiles))
            if spoilt:
                _log.warning("%d tiles were damaged and are done again", len(spoilt))
        wanted = self._previewed(plan) if self.preview else None
        left = [tile for tile in tiles if tile.number not in result.done]
        return left if wanted is None else [tile for tile in left if wanted & set(range(tile.z.start, tile.z.stop))]

    def _previewed(self, plan: Plan) -> set[int]:
        """Slices spread evenly over the region."""
        span, count = plan.region.z, min(self.preview, len(plan.region.z))
        return {span.start + (2 * number + 1) * len(span) // (2 * count) for number in range(count)}

    def _compute(self, job: Job, tiles: Sequence[Tile], result: Result) -> None:
        pixels = [len(tile.z) * len(tile.read_y) * len(tile.x) for tile in tiles]
        progress, done = LoggedProgress("segment", "Mpixel", per=1_000_000), 0
        progress(0, sum(pixels))

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(done, sum(pixels))

        with closing(TileWorker(job, self.device)) as worker:
            waiting: list[tuple[Tile, Any]] = []
            for tile, following in zip_longest(tiles, tiles[1:]):
                waiting.append((tile, worker.run(tile, following, advance)))
                if len(waiting) > 1:  # the last tile is written while the next one is computed
                    _record(result, *waiting.pop(0))
            for tile, checksum in waiting:
                _record(result, tile, checksum)


def _record(result: Result, tile: Tile, checksum: Any) -> None:
    result.record(tile.number, checksum.result())


@contextmanager
def _stoppable(result: Result) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run with a message; what is done is kept."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if in_main else None
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(f"stopped with {len(result.done)} tiles done; the same command goes on") from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
