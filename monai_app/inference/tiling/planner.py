"""Choose a plan for the available memory, and estimate its cost."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm, prod

import numpy as np
import torch

from monai_app.device.copies import finish
from monai_app.device.memory import enough_memory, free_bytes, held_bytes
from monai_app.device.precision import full_precision
from monai_app.device.tuning import stripe_rows
from monai_app.domain.region import Region
from monai_app.errors import ConfigError
from monai_app.inference.compute import TileNetwork
from monai_app.inference.outputs import Outputs
from monai_app.inference.tiling.plan import Plan, Tile
from monai_app.inference.tiling.request import Request
from monai_app.networks.protocol import SharesWork
from monai_app.progress import byte_size, duration
from monai_app.stack.ngff.layout import CHUNK

_MOST = 4 * 2**30
"""Bytes of the host, and of a GPU, that are used unasked; more than this brings next to nothing."""

_BLOCKS = (8, 4, 2, 1)
"""Target slices that may share what they have in common; more than eight save another 2 % of Sensor-3D's work."""

_WHOLE_TILE = 1024
"""Side of a tile of networks that cannot be streamed; larger ones bring next to nothing."""

_LONGEST = 4096
"""Most rows and columns of a tile, so that what is read ahead does not grow with the slices."""

_FRAGMENTED = 2.5
"""Memory the process holds per byte of maps, measured: what is freed leaves gaps that not everything fits into."""

_NARROW = 256
"""Columns of a first, rough calibration, which is of a single stripe."""

_LONG = 10.0
"""Seconds: shorter work is not calibrated a second time, and no second calibration on all columns takes longer."""


@dataclass(frozen=True)
class Estimate:
    """The cost of a plan, from a short calibration.

    Attributes:
        seconds: time for all its tiles, on one process.
        memory: bytes of a process at its peak, on the host and a GPU together.
        disk: bytes of the result, uncompressed: more than it will take.
    """

    seconds: float
    memory: int
    disk: int

    def describe(self) -> str:
        """Return the estimate as a line of text."""
        return (
            f"about {duration(self.seconds)} on one process, {byte_size(self.memory)} of memory, at most "
            f"{byte_size(self.disk)} on disk before compression"
        )


class Planner:
    """Chooses plans for one network and stack.

    Args:
        network: the network.
        shape: slices, rows and columns of the stack.
        itemsize: bytes of a pixel.
        outputs: what is stored.
        gaps: slices of the stack before which others are missing.
    """

    def __init__(
        self,
        network: TileNetwork,
        shape: tuple[int, int, int],
        itemsize: int,
        outputs: Outputs,
        gaps: tuple[int, ...] = (),
    ) -> None:
        self.network, self.shape, self.itemsize, self.outputs, self.gaps = network, shape, itemsize, outputs, gaps
        self._counted: dict[tuple[int, int, int], float] = {}

    def choose(self, region: Region, halo: int, request: Request, *, single: bool = False, processes: int = 0) -> Plan:
        """Choose the largest tiles and blocks that fit into the memory of the host and, as to maps, of the device.

        Args:
            region: what is segmented.
            halo: pixels around a core, from the network's measured field.
            request: what was asked for.
            single: every target slice is a separate block.
            processes: that will write and share this machine's memory; no two tiles may then share a chunk. 0 is this
                process alone, 1 any number of them on other machines.

        Raises:
            ConfigError: a tile that is not a multiple of the stride, or that shares chunks with others and must not, or
                too little memory for the smallest tile.
        """
        separate, held = processes > 0, Counter(cpu=held_bytes())
        budget = self._budget(request, held, max(processes, 1))
        smallest: Counter[str] | None = None
        for plan in self._candidates(region, halo, request.tile, single):
            if separate and request.tile is not None:
                plan.check_separate()
            if separate and not plan.chunk_aligned:
                continue
            needed = held + self._bytes(plan)
            # A tile without a memory limit is used as given.
            if needed <= budget or (request.tile is not None and request.memory is None):
                return plan
            smallest = min(smallest or needed, needed, key=Counter.total)
        if smallest is None:
            raise ConfigError(
                f"stride {self.network.model.spec.stride}: no tile of this network ends where the store's chunks of "
                f"{CHUNK} pixels do, so several processes cannot write; use one (leave out --workers and --cluster)"
            )
        kind = next(kind for kind in budget if smallest[kind] > budget[kind])
        name, remedy = ("memory", "allow more (--memory)") if kind == "cpu" else (f"memory of {kind}", "free some")
        raise ConfigError(
            f"{name} {budget[kind] / 2**20:.0f} MiB: the smallest tile needs {smallest[kind] / 2**20:.0f} MiB; "
            f"{remedy} or give a smaller tile (--tile ROWS,COLUMNS)"
        )

    def _budget(self, request: Request, held: Counter[str], processes: int) -> Counter[str]:
        """The bytes that may be held, by kind of memory."""
        kinds = {"cpu": torch.device("cpu"), self._maps_on: self.network.device}
        shares = Counter({kind: min(_MOST, free_bytes(each) // 2 // processes) for kind, each in kinds.items()})
        return Counter({**shares, "cpu": request.memory or held["cpu"] + shares["cpu"]})

    def bytes(self, plan: Plan) -> int:
        """Return the bytes that computing a tile of the plan takes, beside what the process holds already."""
        return self._bytes(plan).total()

    @property
    def _maps_on(self) -> str:
        return "cuda" if self.network.device.type == "cuda" else "cpu"

    def _bytes(self, plan: Plan) -> Counter[str]:
        """Return the same by kind of memory: maps are on the device, pixels that are read and written on the host."""
        tile = max(plan.tiles, key=lambda tile: tile.computed)
        (rows, columns), targets = tile.read.shape, len(tile.write.z)
        detectors = len(self.network.model.spec.detectors)
        # What this tile reads, and what the next one reads beyond it.
        read = (plan.slices - 1 + 2 * targets) * rows * columns * detectors * self.itemsize
        written = 3 * targets * min(CHUNK, rows) * columns * self._bytes_per_pixel
        maps = int(_FRAGMENTED * self._computed(targets, rows, plan.stripe) * columns)
        return Counter(cpu=written + read) + Counter({self._maps_on: maps})

    def _computed(self, targets: int, rows: int, stripe: int) -> float:
        """Bytes of maps per column, counted once: they grow with the columns, and many widths are tried."""
        key = (targets, rows, stripe)
        if key not in self._counted:
            width, itemsize = self.network.model.spec.stride, self.network.dtype.itemsize
            if self.network.streamed:
                self._counted[key] = self.network.stream(targets).peak_bytes(rows, width, stripe, itemsize) / width
            else:
                self._counted[key] = self.network.whole_maps * rows * itemsize
        return self._counted[key]

    def estimate(self, plan: Plan, tiles: Sequence[Tile]) -> Estimate:
        """Time some stripes of one of the tiles, and scale the time to all of them.

        The calibration takes little of the time that it estimates. Work of seconds is judged by one narrow stripe, and
        will rather be done sooner, because the first stripe is slower; longer work by several of the tile's width.
        """
        computed = sum(tile.computed for tile in tiles)
        seconds = self._seconds_per_pixel(plan, tiles[0], computed) * computed if tiles else 0.0
        disk = prod(plan.region.shape) * 4 // 3 * self._bytes_per_pixel  # a third more for the smaller levels
        return Estimate(seconds, held_bytes() + self.bytes(plan), disk)

    def _seconds_per_pixel(self, plan: Plan, tile: Tile, computed: int) -> float:
        height, wide = tile.read.shape
        narrow = min(wide, -(-_NARROW // plan.stride) * plan.stride)
        rough = self._time(plan, tile, min(height, plan.stripe), narrow)
        if rough * computed < _LONG:
            return rough
        # The first time is slower. The second time the maps are as wide as they will be, so that the memory they leave
        # behind fits those to come.
        rows = min(height, 4 * plan.stripe)
        columns = wide if rough * len(tile.write.z) * rows * wide < _LONG else narrow
        return self._time(plan, tile, rows, columns)

    def _time(self, plan: Plan, tile: Tile, rows: int, columns: int) -> float:
        """Seconds per pixel of a target, for the first rows and columns of a tile."""
        grey = np.zeros((len(self.network.model.spec.detectors), rows, columns), np.uint8)
        sequence = plan.sequence(tile)
        begin = time.perf_counter()
        with full_precision(), enough_memory(self.network.device):
            for _ in self.network.logits(dict.fromkeys(sequence, grey), sequence, len(tile.write.z), plan.stripe):
                pass
            finish(self.network.device)
        return (time.perf_counter() - begin) / (len(tile.write.z) * rows * columns)

    @property
    def _bytes_per_pixel(self) -> int:
        phases = len(self.network.model.spec.phases)
        return 1 + sum(phases if output.per_phase else 1 for output in self.outputs.maps)

    def _candidates(self, region: Region, halo: int, tile: tuple[int, int] | None, single: bool) -> Iterator[Plan]:
        spec = self.network.model.spec
        stripe = -(-stripe_rows(self.network.device) // spec.stride) * spec.stride
        sharing = isinstance(self.network.model.network, SharesWork) and self.network.streamed and not single
        blocks = [block for block in _BLOCKS if sharing and block < 2 * len(region.z)] or [1]
        for sides in [tile] if tile is not None else self._tiles():
            for block in blocks:
                yield Plan(self.shape, region, spec.stride, halo, sides, block, stripe, spec.slices, self.gaps)

    def _tiles(self) -> list[tuple[int, int]]:
        """Tiles from the largest to the smallest; those of a chunk and more keep writers off each other's chunks."""
        stride = self.network.model.spec.stride
        if not self.network.streamed:
            return [(side, side) for side in _halved(_WHOLE_TILE, stride)]
        step = lcm(CHUNK, stride)
        most = max(_LONGEST // step, 1) * step
        rows, columns = (min(-(-side // step) * step, most) for side in self.shape[1:])
        wide = [(rows, width) for width in range(columns, 0, -step)]
        return [*wide, *((side, side) for side in _halved(CHUNK // 2, stride))]


def _halved(side: int, stride: int) -> list[int]:
    """Halve a side as long as it is a multiple of the stride."""
    sides = [-(-side // stride) * stride]
    while sides[-1] % (2 * stride) == 0 and sides[-1] > 64:
        sides.append(sides[-1] // 2)
    return sides
