"""Choose a plan for the memory there is, and estimate what it costs."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
import psutil

from monai_app.errors import ConfigError
from monai_app.inference.compute import TileNetwork
from monai_app.inference.footprint import peak_bytes
from monai_app.inference.outputs import Outputs
from monai_app.inference.plan import Plan
from monai_app.inference.region import Region
from monai_app.networks import Sensor3D
from monai_app.progress import duration
from monai_app.stack.layout import CHUNK

_MOST = 4 * 2**30
"""Bytes that are used unasked; wider tiles and longer blocks than fit in here bring next to nothing."""

_STRIPE = {"cpu": 32, "cuda": 256}
"""Rows pushed at a time: on a CPU few enough for the maps to stay in its cache, on a GPU enough to keep it busy."""

_BLOCKS = (8, 4, 2, 1)
"""Target slices that may share what they have in common; more than eight save another 2 % of Sensor-3D's work."""

_WHOLE_TILE = 1024
"""Side of a tile of networks that cannot be streamed, whose memory is not known beforehand."""

_ROWS = 4096
"""Most rows of a tile, so that what is read ahead does not grow with the slices."""

_FRAGMENTED = 1.5
"""Memory the process holds per byte of maps: what is freed is not at once used again."""


@dataclass(frozen=True)
class Request:
    """What a person asked for; None leaves it to the planner.

    Attributes:
        tile: rows and columns of a tile.
        memory: bytes that the process may use in all.
    """

    tile: tuple[int, int] | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Estimate:
    """What a plan costs, found by a short calibration.

    Attributes:
        seconds: time for all its tiles.
        memory: bytes of the process at its peak.
        disk: bytes of the result, uncompressed: more than it will take.
    """

    seconds: float
    memory: int
    disk: int

    def describe(self) -> str:
        """Return the estimate as a line for people."""
        return (
            f"estimate: about {duration(self.seconds)}, {self.memory / 2**30:.1f} GiB of memory, at most "
            f"{self.disk / 2**30:.2f} GiB on disk before compression"
        )


class Planner:
    """Chooses plans for one network and stack.

    Args:
        network: the network.
        shape: slices, rows and columns of the stack.
        itemsize: bytes of a pixel.
        outputs: what is stored.
    """

    def __init__(self, network: TileNetwork, shape: tuple[int, int, int], itemsize: int, outputs: Outputs) -> None:
        self.network, self.shape, self.itemsize, self.outputs = network, shape, itemsize, outputs

    def choose(self, region: Region, halo: int, request: Request) -> Plan:
        """Choose the largest tiles and blocks that fit into the memory.

        Raises:
            ConfigError: a tile that is no multiple of the stride, or too little memory for the smallest tile.
        """
        held = psutil.Process().memory_info().rss
        budget = request.memory or min(held + _MOST, psutil.virtual_memory().available // 2 + held)
        smallest = None
        for plan in self._candidates(region, halo, request.tile):
            needed = held + self.bytes(plan)
            if needed <= budget or (request.tile is not None and request.memory is None):
                return plan
            smallest = min(smallest or needed, needed)
        raise ConfigError(
            f"memory {budget / 2**20:.0f} MiB: the smallest tile needs {(smallest or 0) / 2**20:.0f} MiB; allow more "
            "(--memory) or give a smaller tile (--tile ROWS,COLUMNS)"
        )

    def bytes(self, plan: Plan) -> int:
        """Return the bytes that computing a tile of the plan takes, beside what the process holds already."""
        tile = max(plan.tiles[: 3 * plan.block], key=lambda tile: len(tile.read_y) * len(tile.read_x))
        rows, columns, targets = len(tile.read_y), len(tile.read_x), len(tile.z)
        model = self.network.model
        read = (plan.slices - 1 + 2 * targets) * rows * columns * len(model.detectors) * self.itemsize
        written = 3 * targets * min(CHUNK, rows) * columns * self._bytes_per_pixel()
        if self.network.streamed:
            computed = peak_bytes(self.network.stream(targets), rows, columns, plan.stripe)
        else:
            computed = 40 * rows * columns * 4  # a guess: such a network's maps are not known
        return int(_FRAGMENTED * (computed + written)) + read

    def estimate(self, plan: Plan, tiles: int) -> Estimate:
        """Time some stripes of a tile and scale the time to ``tiles`` of its tiles."""
        tile = plan.tiles[0]
        columns = min(len(tile.read_x), max(CHUNK, plan.stride))
        rows = min(len(tile.read_y), max(4 * plan.stripe, plan.stripe + plan.halo // 2 * 2))
        rows = -(-rows // plan.stride) * plan.stride
        grey = np.zeros((len(self.network.model.detectors), rows, columns), np.uint8)
        planes = dict.fromkeys(plan.sequence(tile), grey)
        for _ in range(2):  # the first time is slower
            begin = time.perf_counter()
            for _ in self.network.logits(planes, plan.sequence(tile), len(tile.z), plan.stripe):
                pass
            taken = time.perf_counter() - begin
        pixels = len(plan.tiles[0].z) * rows * columns
        share = tiles / max(len(plan.tiles), 1)
        whole = plan.overhead * len(plan.region.z) * len(plan.region.y) * len(plan.region.x) * share
        held = psutil.Process().memory_info().rss
        disk = np.prod([len(plan.region.z), len(plan.region.y), len(plan.region.x)], dtype=np.int64) * 4 // 3
        return Estimate(taken / pixels * whole, held + self.bytes(plan), int(disk) * self._bytes_per_pixel())

    def _bytes_per_pixel(self) -> int:
        maps = self.outputs.maps
        return 1 + maps.confidence + len(self.network.model.phases) * maps.probability

    def _candidates(self, region: Region, halo: int, tile: tuple[int, int] | None) -> Iterator[Plan]:
        model = self.network.model
        stripe = -(-_STRIPE.get(self.network.device.type, 256) // model.stride) * model.stride
        sharing = isinstance(model.network, Sensor3D) and self.network.streamed
        blocks = [block for block in _BLOCKS if sharing and block < 2 * len(region.z)] or [1]
        for sides in [tile] if tile is not None else self._tiles():
            for block in blocks:
                yield Plan(self.shape, region, model.stride, halo, sides, block, stripe, model.slices)

    def _tiles(self) -> list[tuple[int, int]]:
        """Tiles from the largest to the smallest; those of a chunk and more keep writers off each other's chunks."""
        stride = self.network.model.stride
        step = lcm(CHUNK, stride)
        rows, columns = (-(-side // step) * step for side in self.shape[1:])
        if not self.network.streamed:
            return [(side, side) for side in _down(_WHOLE_TILE, stride)]
        wide = [(min(rows, _ROWS // step * step or step), width) for width in range(min(columns, 4 * step), 0, -step)]
        return [*wide, *((side, side) for side in _down(CHUNK // 2, stride))]


def _down(side: int, stride: int) -> Sequence[int]:
    """Halve a side as long as it is a multiple of the stride."""
    sides = [-(-side // stride) * stride]
    while sides[-1] % (2 * stride) == 0 and sides[-1] > 64:
        sides.append(sides[-1] // 2)
    return sides
