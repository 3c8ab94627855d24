"""The plan of a segmentation: what each tile reads, computes and writes. A plan is immutable and can be saved.

Along rows, and likewise along columns, a tile looks like this, ``|`` being multiples of the network's stride::

              start                              stop
    write       [##################################]             labels that it gives
    core      |####################################|             grown to the network's stride
    read      |....|####################################|....|   and by the halo, as far as the slice goes

A slice whose length is not a multiple of the stride is padded to the next multiple by repeating its last pixel. So is
the whole slice when it is segmented at once; the tiles at this end read the padding where they reach it.

Tiles are the cells of a grid that begins at row and column 0 of the slice, wherever the region lies: tiles of 1024 or
2048 pixels then end where the store's chunks end, and no two of them write to the same chunk.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from math import lcm
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from monai_app.domain.region import Rect, Region, Span
from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError
from monai_app.progress import counted
from monai_app.stack.ngff.layout import CHUNK


@dataclass(frozen=True)
class Tile:
    """A part of the stack that is segmented as one unit of work.

    Attributes:
        number: its place in the plan.
        write: slices, rows and columns that it writes.
        read: rows and columns that it reads, from a multiple of the stride to one; the last ones may lie beyond the
            slice, whose last row and column are repeated there.
    """

    number: int
    write: Region
    read: Rect

    @property
    def inner(self) -> Rect:
        """Where in the rows and columns that it reads those are that it writes."""
        return self.write.rect.relative_to(self.read)

    @property
    def computed(self) -> int:
        """Pixels that are computed: target slices x rows x columns that it reads."""
        rows, columns = self.read.shape
        return len(self.write.z) * rows * columns


@dataclass(frozen=True)
class Plan:
    """The plan for segmenting a region of a stack.

    Args:
        shape: slices, rows and columns of the stack.
        region: what is segmented.
        stride: the network's, in pixels.
        halo: pixels read around a core, a multiple of the stride.
        tile: rows and columns of the tiles, multiples of the stride.
        block: target slices per tile.
        stripe: rows pushed through the network at a time, a multiple of the stride.
        slices: slices S in the slab, odd.
        gaps: slices of the stack before which others are missing; no block goes across.

    Raises:
        ConfigError: a value that breaks its rule.
    """

    shape: tuple[int, int, int]
    region: Annotated[Region, BeforeValidator(Region.from_json)]
    stride: int
    halo: int
    tile: tuple[int, int]
    block: int
    stripe: int
    slices: int
    gaps: tuple[int, ...] = ()

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    def __post_init__(self) -> None:
        for name in ("stride", "block"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: must be 1 or more")
        Slab(self.slices)
        if self.halo < 0 or self.halo % self.stride:
            raise ConfigError(f"halo {self.halo}: must be a multiple of the network's stride {self.stride}, or 0")
        _check_side("stripe", self.stripe, self.stripe, self.stride)
        for side in self.tile:
            _check_side("tile", ",".join(map(str, self.tile)), side, self.stride)
        self.region.check_within(self.shape)

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, column after column of the grid, each through all slices, so that slabs follow each other."""
        blocks = [block for part in self.region.z.cut(self.gaps) for block in part.split(self.block, part.start)]
        cells = product(self._cells(0), self._cells(1), blocks)
        return tuple(Tile(number, Region(z, y, x), self.read_for(Rect(y, x))) for number, (y, x, z) in enumerate(cells))

    def read_for(self, write: Rect) -> Rect:
        """Return the rows and columns that must be read to write a rectangle, see `Tile.read`."""
        return Rect(self._read(0, write.y), self._read(1, write.x))

    @property
    def chunk_aligned(self) -> bool:
        """Whether no two tiles write to the same chunk, so that several processes may write."""
        return all(cell.start % CHUNK == 0 for axis in (0, 1) for cell in self._cells(axis)[1:])

    def check_separate(self) -> None:
        """Check that several processes may write.

        Raises:
            ConfigError: two tiles write to the same chunk.
        """
        if not self.chunk_aligned:
            step = lcm(CHUNK, self.stride)
            sides = [-(-side // step) * step for side in self.tile]
            raise ConfigError(
                f"tile {_pair(self.tile, ',')}: several processes would write to the same chunk of {CHUNK} x {CHUNK} "
                f"pixels; use tiles of {_pair(sides, ',')}, or one process"
            )

    def sequence(self, tile: Tile) -> tuple[int, ...]:
        """Return the slices that a tile's slabs run through, T + S - 1 for T targets, end slices repeated."""
        return Slab(self.slices).sequence(tile.write.z, self.shape[0], self.gaps)

    def stored(self, tile: Tile) -> Rect:
        """Return the rows and columns that a tile reads from the store: all that it reads but for the padding."""
        return tile.read.intersect(Rect.whole(self.shape))

    def padding(self, tile: Tile) -> tuple[int, int]:
        """Return the rows below and the columns right of the slice that a tile reads."""
        (rows, columns), (height, width) = self.stored(tile).shape, tile.read.shape
        return height - rows, width - columns

    @property
    def overhead(self) -> float:
        """Pixels that are computed per pixel that is written; 1 where nothing is computed twice."""
        factors = (
            sum(len(self._read(axis, cell)) for cell in self._cells(axis)) / len(span)
            for axis, span in enumerate((self.region.y, self.region.x))
        )
        rows, columns = factors
        return rows * columns

    def describe(self) -> list[str]:
        """Return the plan as lines of text."""
        region, (slices, rows, columns) = self.region, self.shape
        grid = f"{len(self._cells(0))} x {len(self._cells(1))}"
        slab = f"each from a slab of {self.slices}" if self.slices > 1 else "each by itself"
        return [
            f"region: slices {region.z} of {slices}, rows {region.y} of {rows}, columns {region.x} of {columns}",
            f"tiles: {len(self.tiles)}, a grid of {grid} with up to {_pair(self.tile)} pixels, in blocks of up to "
            f"{counted(self.block, 'slice')}, {slab}",
            f"halo: {counted(self.halo, 'pixel')} at a stride of {self.stride}; {100 * (self.overhead - 1):.1f} % of "
            "the pixels are computed more than once",
            f"stripes: {counted(self.stripe, 'row')} at a time",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        plan = {**asdict(self), "shape": list(self.shape), "region": self.region.to_json(), "tile": list(self.tile)}
        gaps = list(plan.pop("gaps"))
        return {**plan, "gaps": gaps} if gaps else plan  # as before there were gaps

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Plan":
        """Read what `to_dict` gave.

        Raises:
            ConfigError: it is damaged, or breaks a rule.
        """
        try:
            return TypeAdapter(cls).validate_json(json.dumps(content))
        except (ValidationError, TypeError, ValueError) as error:
            raise ConfigError(f"the saved plan is damaged ({error}); start over with --overwrite") from None

    def _cells(self, axis: int) -> list[Span]:
        """Return the parts of the region in the rows (axis 0) or columns (axis 1) of the grid."""
        return list((self.region.y, self.region.x)[axis].split(self.tile[axis]))

    def _read(self, axis: int, write: Span) -> Span:
        """Return what is read to write these rows (axis 0) or columns (axis 1)."""
        stride, length = self.stride, self.shape[1 + axis]
        start = write.start // stride * stride - self.halo
        stop = -(-write.stop // stride) * stride + self.halo
        return Span(start, stop).intersect(Span(0, -(-length // stride) * stride))


def _pair(sides: Sequence[int], separator: str = " x ") -> str:
    return separator.join(map(str, sides))


def _check_side(name: str, given: Any, side: int, stride: int) -> None:
    below = max(side // stride, 1) * stride
    if side != below:
        raise ConfigError(
            f"{name} {given}: {side} must be a multiple of the network's stride {stride}; the nearest are "
            f"{below} and {below + stride}"
        )
