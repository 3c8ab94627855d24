"""Segment a stack: plan, compute tile by tile, publish. After an interruption, the same call resumes."""

import json
import logging
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import torch

from monai_app.background.address import check_address
from monai_app.device.precision import Precision
from monai_app.domain.region import Region
from monai_app.errors import ConfigError, SignalError
from monai_app.files import write_json
from monai_app.inference.compute import TileNetwork, prepare
from monai_app.inference.model import Model
from monai_app.inference.outputs import Outputs
from monai_app.inference.report.familiarity import look_at
from monai_app.inference.report.tables import write_tables
from monai_app.inference.tiling.plan import Plan, Tile
from monai_app.inference.tiling.planner import Estimate, Planner
from monai_app.inference.tiling.request import Request
from monai_app.inference.worker import Job, advancing, compute_here
from monai_app.progress import LoggedProgress, Progress, byte_size, counted, duration
from monai_app.provenance import provenance
from monai_app.stack import Stack
from monai_app.stack.label_images.registry import check_replaceable, clear_unused
from monai_app.stack.label_images.resumable import Result, finished_as, in_progress
from monai_app.stack.mask import Mask

ENGINE = {"cpu": 2, "cuda": 2}
"""Version of the arithmetic by device: results of another version are not resumed, because rounding may differ."""

PLAN = "plan.json"
"""File with the plan and the estimated cost of a result."""

MOST_WORKERS = 256
"""On one machine."""

_AXES = ("slices", "rows", "columns")

_log = logging.getLogger(__name__)


class Segmentation:
    """The segmentation of one stack by one model into one label image.

    Args:
        model: the model.
        stack: path of the stack.
        name: the label image's name; a preview adds ``_preview`` to it.
        device: device on which the network runs.
        precision: what it computes in.
        outputs: what is stored in addition to the labels.
        region: ``slices``, ``rows`` and ``columns`` to segment as texts, see `parse_span`; missing ones and None mean
            all.
        mask: what of it to segment, see `Mask`.
        request: tile and memory, where they are not left to the planner.
        overwrite: replace a finished label image of that name; begin again where one in progress has other settings.
        preview: number of slices, spread over the region, to segment into a separate label image; 0 for all.
        workers: processes on this machine to compute on; 0 computes in this one.
        cluster: address of a Dask scheduler to compute on instead, e.g. ``tcp://10.0.0.1:8786``.
        keep: labels of that name that were finished by this very call are kept, not refused: something else comes after
            them.
        progress: called with the pixels computed and their total; None logs them.
    """

    def __init__(
        self,
        model: Model,
        stack: str,
        name: str,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        outputs: Outputs | None = None,
        region: Mapping[str, str | None] | None = None,
        mask: str | None = None,
        request: Request | None = None,
        overwrite: bool = False,
        preview: int = 0,
        workers: int = 0,
        cluster: str | None = None,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.model, self.device, self.precision = model, torch.device(device), precision
        self.path, self.region, self.mask = stack, dict(region or {}), mask
        self.name = f"{name}_preview" if preview else name
        self.outputs, self.request = outputs or Outputs(), request or Request()
        self.overwrite = overwrite or bool(preview)
        self.preview, self.workers, self.cluster = preview, workers, cluster
        self.keep = keep and not self.overwrite
        self.progress = progress or LoggedProgress("segment", "Mpixel", per=1_000_000)

    def run(self) -> None:
        """Segment the remaining tiles.

        Raises:
            AppError: something does not fit, is in the way, or stopped the run; what is done is kept.
        """
        begun, stack = time.monotonic(), Stack.open(self.path)
        self.model = self.model.described_by(self.model.spec.of_stack(stack.ingested))
        self._check(stack)
        self._calibrate()
        z, y, x = map(self.region.get, _AXES)
        region = Region.parse(z, y, x, stack.shape)
        mask = Mask(stack, self.mask)
        network, halo = prepare(self.model, self.device, self.precision)
        planner = Planner(network, stack.shape, stack.dtype.itemsize, self.outputs, stack.gaps)
        plan = self._plan(stack, region, planner, halo)
        if self.keep and self._is_finished(stack, plan, mask):
            clear_unused(stack.path, self.name)
            _log.info("labels %r are already complete", self.name)
            return
        for line in plan.describe():
            _log.debug("%s", line)
        with self._result(stack, plan, mask) as result, _stoppable(result):
            slices = self._slices(plan)
            left = self._left(plan, mask, result)
            self._announce(stack, plan, slices, planner.estimate(plan, left), result)
            familiarity = look_at(stack, slices, self.model.spec, result.folder, LoggedProgress("look at slices"))
            job = Job(stack, self.model, plan, self.outputs, result.arrays, mask, self.device, self.precision)
            self._compute(job, network, left, result)
            self._check_inputs(mask)
            entries = write_tables(result, slices, familiarity, self.model)
            result.finish(slices, LoggedProgress("smaller levels"), entries)
        _log.info("segmented %s in %s", counted(len(slices), "slice"), duration(time.monotonic() - begun))

    def _check(self, stack: Stack) -> None:
        """Refuse what can be refused before anything is computed."""
        if self.name in stack.label_names() and not self.keep:
            check_replaceable(stack.path, self.name, self.overwrite)
        self.check_settings(stack.shape[0])
        self.model.spec.check_stack(stack)

    def check_settings(self, slices: int) -> None:
        """Check the settings for a stack of this many slices, which need not exist yet.

        Raises:
            ConfigError: one is invalid, or contradicts another one.
        """
        for name, value, most in (("preview", self.preview, slices), ("workers", self.workers, MOST_WORKERS)):
            if not 0 <= value <= most:
                raise ConfigError(f"{name} {value}: must be from 0 to {most}; change --{name}")
        unknown = set(self.region) - set(_AXES)
        if unknown:
            raise ConfigError(f"region has no axis {unknown.pop()!r}; give {', '.join(_AXES)}")
        if self.cluster and self.workers:
            raise ConfigError(f"cluster {self.cluster} has its own workers; leave out --workers {self.workers}")
        if self.cluster:
            check_address(self.cluster)
        self.model.check_precision(self.precision, self.device)

    def _calibrate(self) -> None:
        """Let the outputs have the model's temperature, if there are any that it changes."""
        if not self.outputs.maps:
            return
        self.outputs = self.outputs.calibrated(self.model.temperature)
        if self.model.calibration is None:
            _log.warning("the model is not calibrated: its confidence may differ from the share of correct pixels")

    def _plan(self, stack: Stack, region: Region, planner: Planner, halo: int) -> Plan:
        """The plan of the result in progress, if there is one and nothing else is asked for; else a new one."""
        processes = 1 if self.cluster else self.workers
        plan = self._started_plan(stack)
        if plan is not None and self.request.tile in (None, plan.tile):
            wanted = (region, halo, stack.shape, self.model.spec.slices)
            if (plan.region, plan.halo, plan.shape, plan.slices) == wanted and (plan.chunk_aligned or not processes):
                return plan
        return planner.choose(region, halo, self.request, single=bool(self.preview), processes=processes)

    def _started_plan(self, stack: Stack) -> Plan | None:
        try:
            started = in_progress(stack.path, self.name) or (finished_as(stack.path, self.name) if self.keep else None)
            return Plan.from_dict((started or {})["plan"])
        except (ConfigError, KeyError):
            return None  # nothing was started, or what was is damaged, which the fingerprint shows

    def _fingerprint(self, plan: Plan, mask: Mask) -> dict[str, Any]:
        """Everything that decides the result."""
        calibrated = self.outputs.maps and self.model.calibration
        return {
            "engine": ENGINE[self.device.type],
            "model": self.model.describe(),
            "plan": plan.to_dict(),
            "preview": self.preview,
            "mask": mask.identity,
            "confidence": ",".join(name for name in self.outputs.names if name != "probability") or "none",
            **({"temperature": self.outputs.temperature} if calibrated else {}),
            "precision": self.precision,
            "device": self.device.type,
            "torch": torch.__version__,
        }

    def _is_finished(self, stack: Stack, plan: Plan, mask: Mask) -> bool:
        """Whether the label image is there and is what this call would write."""
        kept = finished_as(stack.path, self.name)
        if kept is None:
            return False
        image = kept.pop("image", {})
        same = image.get("identity") == stack.ingested and image.get("maps") == [
            each.name for each in self.outputs.maps
        ]
        return bool(same and kept == json.loads(json.dumps(self._fingerprint(plan, mask))))

    def _result(self, stack: Stack, plan: Plan, mask: Mask) -> AbstractContextManager[Result]:
        return stack.write_result(
            self.name,
            maps=self.outputs.maps,
            fingerprint=self._fingerprint(plan, mask),
            overwrite=self.overwrite,
            attributes=provenance(stack, self.model.name, self.model.sha256, self.model.spec.stand_ins),
            phases=self.model.spec.phases,
        )

    def _slices(self, plan: Plan) -> list[int]:
        """The slices that are segmented: the region's, or a preview's, spread evenly over it."""
        span = plan.region.z
        count = min(self.preview or len(span), len(span))
        return [span.start + (2 * number + 1) * len(span) // (2 * count) for number in range(count)]

    def _left(self, plan: Plan, mask: Mask, result: Result) -> list[Tile]:
        """The tiles still to be done; those that are done are read again, and done again if they are damaged."""
        wanted = set(self._slices(plan))
        tiles = [tile for tile in plan.tiles if wanted.intersection(tile.write.z.range) and mask.keeps(tile.write)]
        if result.done:
            damaged = result.verify(lambda number: plan.tiles[number].write)
            _log.info("already complete: %d of %s", len(result.done), counted(len(tiles), "tile"))
            if damaged:
                _log.warning("computed again: %s", counted(len(damaged), "damaged tile"))
        return [tile for tile in tiles if tile.number not in result.done]

    def _announce(self, stack: Stack, plan: Plan, slices: Sequence[int], estimate: Estimate, result: Result) -> None:
        if self.precision == "bfloat16":
            _log.warning("precision bfloat16 changed 1 to 3 of 1000 labels of trained networks; float32 changes none")
        what = f"{counted(len(slices), 'slice')} of {stack.path.name}"
        _log.info("segmenting %s with %s on %s: %s", what, self.model.name, self.device, estimate.describe())
        free = shutil.disk_usage(stack.path).free
        if estimate.disk > free:
            _log.warning("only %s of disk space are free; labels compress well, maps less so", byte_size(free))
        content = {"plan": plan.to_dict(), "text": plan.describe(), "estimate": vars(estimate)}
        write_json(result.folder / PLAN, content)

    def _check_inputs(self, mask: Mask | None) -> None:
        """Refuse to record more where weights or mask were replaced; `Result` sees to the stack."""
        self.model.origin.check()
        if mask is not None:
            mask.check()

    def _compute(self, job: Job, network: TileNetwork, tiles: Sequence[Tile], result: Result) -> None:
        if not tiles:
            return
        advance = advancing(self.progress, tiles)
        if self.cluster or self.workers:
            from monai_app.inference.cluster import compute_on_cluster  # Dask is large, and most runs need none of it

            computed = compute_on_cluster(job, tiles, self.cluster, self.workers, advance)
        else:
            computed = compute_here(job, network, tiles, advance)
        with closing(computed):
            for number, checksum in computed:
                self._check_inputs(job.mask)
                result.record(number, checksum)


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
        tiles = counted(len(result.done), "tile")
        raise SignalError(f"stopped with {tiles} complete; run the same command to resume") from None
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
