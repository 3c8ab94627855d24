"""What is read, computed and written, tile by tile, before anything is: a plan is fixed, inspectable and can be saved.

Along rows, and likewise along columns, a tile looks like this, ``|`` being multiples of the network's stride::

              start                              stop
    write       [##################################]             labels that it gives
    core      |####################################|             grown to the network's stride
    read      |....|####################################|....|   and by the halo, as far as the slice goes

A slice whose length is no multiple of the stride is padded at its end up to the next one, by repeating its last pixel.
So is the whole slice when it is segmented at once; the tiles at this end read the padding where they reach it.

Tiles are the cells of a grid that begins at row and column 0 of the slice, wherever the region lies: tiles of 1024 or
2048 pixels then end where the store's chunks end, and no two of them write to the same chunk.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from math import lcm
from typing import Any

from monai_app.domain import fields
from monai_app.domain.region import LINES, Region, Span
from monai_app.errors import ConfigError
from monai_app.stack.ngff.layout import CHUNK


@dataclass(frozen=True)
class Tile:
    """A part of the stack that is segmented as one unit of work.

    Attributes:
        number: its place in the plan.
        z: slices that it writes.
        y: rows that it writes.
        x: columns that it writes.
        read_y: rows that it reads, from a multiple of the stride to one; the last may lie beyond the slice, where the
            last row is repeated.
        read_x: columns that it reads, likewise.
    """

    number: int
    z: Span
    y: Span
    x: Span
    read_y: Span
    read_x: Span

    @property
    def inner(self) -> tuple[slice, slice]:
        """Where in the rows and columns that it reads those are that it writes."""
        spans = ((self.y, self.read_y), (self.x, self.read_x))
        rows, columns = (slice(write.start - read.start, write.stop - read.start) for write, read in spans)
        return rows, columns

    @property
    def boxes(self) -> Iterator[tuple[int, slice, slice]]:
        """What it writes, a slice at a time: z, rows and columns."""
        return ((z, self.y.index, self.x.index) for z in range(self.z.start, self.z.stop))


@dataclass(frozen=True)
class Plan:
    """How a region of a stack is segmented.

    Args:
        shape: slices, rows and columns of the stack.
        region: what is segmented.
        stride: the network's, in pixels.
        halo: pixels read around a core, a multiple of the stride.
        tile: rows and columns of the tiles, multiples of the stride.
        block: target slices per tile.
        stripe: rows pushed through the network at a time, a multiple of the stride.
        slices: slices S in the slab, odd.

    Raises:
        ConfigError: a value that breaks its rule.
    """

    shape: tuple[int, int, int]
    region: Region
    stride: int
    halo: int
    tile: tuple[int, int]
    block: int
    stripe: int
    slices: int

    def __post_init__(self) -> None:
        for name in ("stride", "block", "slices"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: must be 1 or more")
        if self.slices % 2 == 0:
            raise ConfigError(f"slices {self.slices}: must be odd, so that there is a middle slice")
        if self.halo < 0 or self.halo % self.stride:
            raise ConfigError(f"halo {self.halo}: must be a multiple of the network's stride {self.stride}, or 0")
        _check_side("stripe", self.stripe, self.stripe, self.stride)
        for side in self.tile:
            _check_side("tile", ",".join(map(str, self.tile)), side, self.stride)
        for axis, length in zip("zyx", self.shape, strict=True):
            span = getattr(self.region, axis)
            if not 0 <= span.start < span.stop <= length:
                raise ConfigError(
                    f"region {axis} {span}: the {LINES[axis]}s are 0 to {length - 1}; give a part of them"
                )

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, column after column of the grid, each through all slices, so that slabs follow each other."""
        blocks = _cut(self.region.z, self.block, self.region.z.start)
        spans = product(self._cells(0), self._cells(1), blocks)
        return tuple(
            Tile(number, z, y, x, self._read(0, y), self._read(1, x)) for number, (y, x, z) in enumerate(spans)
        )

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

    def needed(self, z: int) -> tuple[int, ...]:
        """Return the S slices of the slab around a target slice; at the ends of the stack the end slice is repeated.

        Example:
            >>> region = Region.parse(None, None, None, (9, 64, 64))
            >>> Plan((9, 64, 64), region, 4, 24, (64, 64), 4, 32, slices=5).needed(1)
            (0, 0, 1, 2, 3)
        """
        return self._clamped(z, z + 1)

    def sequence(self, tile: Tile) -> tuple[int, ...]:
        """Return the slices that a tile's slabs run through, T + S - 1 for T targets, end slices repeated."""
        return self._clamped(tile.z.start, tile.z.stop)

    def slab_slices(self, tile: Tile) -> range:
        """Return the slices that a tile reads, each once."""
        sequence = self.sequence(tile)
        return range(sequence[0], sequence[-1] + 1)

    def stored(self, tile: Tile) -> tuple[Span, Span]:
        """Return the rows and columns that a tile reads from the store: all that it reads but for the padding."""
        _, rows, columns = self.shape
        return tile.read_y.within(Span(0, rows)), tile.read_x.within(Span(0, columns))

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
        """Return the plan in lines for people."""
        region, (slices, rows, columns) = self.region, self.shape
        grid = f"{len(self._cells(0))} x {len(self._cells(1))}"
        slab = f"each from a slab of {self.slices}" if self.slices > 1 else "each by itself"
        return [
            f"region: slices {region.z} of {slices}, rows {region.y} of {rows}, columns {region.x} of {columns}",
            f"tiles: {len(self.tiles)}, a grid of {grid} with up to {_pair(self.tile)} pixels, in blocks of up to "
            f"{self.block} slices, {slab}",
            f"halo: {self.halo} pixels at a stride of {self.stride}; {100 * (self.overhead - 1):.1f} % of the pixels "
            "are computed in addition",
            f"stripes: {self.stripe} rows at a time",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON knows it."""
        region = {axis: [span["start"], span["stop"]] for axis, span in asdict(self.region).items()}
        return {**asdict(self), "shape": list(self.shape), "region": region, "tile": list(self.tile)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Plan":
        """Take up a plan that was saved.

        Raises:
            ConfigError: it is damaged, or breaks a rule.
        """
        names = tuple(cls.__dataclass_fields__)
        entries = fields.mapping(content, "plan")
        fields.check_keys(entries, "plan", names)
        spans = fields.mapping(entries["region"], "plan: region")
        fields.check_keys(spans, "plan: region", tuple("zyx"))
        region = Region(*(Span(*_wholes(spans[axis], f"plan: region: {axis}", 2)) for axis in "zyx"))
        single = set(names) - {"shape", "region", "tile"}
        numbers = {name: fields.whole(entries[name], f"plan: {name}") for name in single}
        slices, rows, columns = _wholes(entries["shape"], "plan: shape", 3)
        tile_rows, tile_columns = _wholes(entries["tile"], "plan: tile", 2)
        return cls(shape=(slices, rows, columns), region=region, tile=(tile_rows, tile_columns), **numbers)

    def _cells(self, axis: int) -> list[Span]:
        """Return the parts of the region in the rows (axis 0) or columns (axis 1) of the grid."""
        span = (self.region.y, self.region.x)[axis]
        return _cut(span, self.tile[axis])

    def _read(self, axis: int, write: Span) -> Span:
        """Return what is read to write these rows (axis 0) or columns (axis 1)."""
        stride, length = self.stride, self.shape[1 + axis]
        start = write.start // stride * stride - self.halo
        stop = -(-write.stop // stride) * stride + self.halo
        return Span(start, stop).within(Span(0, -(-length // stride) * stride))

    def _clamped(self, start: int, stop: int) -> tuple[int, ...]:
        half, last = self.slices // 2, self.shape[0] - 1
        return tuple(min(max(z, 0), last) for z in range(start - half, stop + half))


def _cut(span: Span, length: int, origin: int = 0) -> list[Span]:
    """Cut a span where multiples of ``length`` from ``origin`` on lie in it."""
    first = span.start - (span.start - origin) % length
    return [Span(start, start + length).within(span) for start in range(first, span.stop, length)]


def _pair(sides: Sequence[int], separator: str = " x ") -> str:
    return separator.join(map(str, sides))


def _check_side(name: str, given: Any, side: int, stride: int) -> None:
    below = max(side // stride, 1) * stride
    if side != below:
        raise ConfigError(
            f"{name} {given}: {side} must be a multiple of the network's stride {stride}; the nearest are "
            f"{below} and {below + stride}"
        )


def _wholes(value: Any, where: str, number: int) -> list[int]:
    numbers = [fields.whole(item, where) for item in fields.items(value, where)]
    if len(numbers) != number:
        raise ConfigError(f"{where}: {numbers} must be {number} numbers; begin anew, the saved plan is damaged")
    return numbers
