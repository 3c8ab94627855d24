"""The full-resolution arrays of a result, which several processes may write, and their checksums."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect, Region
from monai_app.errors import StackError
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import read_own
from monai_app.stack.ngff.pyramid import level_shapes

LABELS = "labels"
"""Name of the planes that every result has."""

SLICES = "slices"
"""Entry of a finished result's metadata: the slices of which every chunk must be there."""

Planes = dict[str, npt.NDArray[np.uint8]]
"""A rectangle of one slice of a result, by name: ``labels`` (rows, columns), 1..K the phases, 0 outside the region or
mask, and of every map (rows, columns) or (K, rows, columns)."""


@dataclass(frozen=True)
class Map:
    """A map of a label image, with one byte per pixel.

    Args:
        name: of its planes, and of its group inside the label image.
        per_phase: whether there is one for every phase.
    """

    name: str
    per_phase: bool


class Checksum:
    """CRC-32 over a tile's pixels, taken while they are written or when they are read again.

    The rows of a slice are added from top to bottom in the full width of the tile; into how many pieces they are cut,
    and how the pieces of several slices alternate, does not matter.
    """

    def __init__(self) -> None:
        self._planes: dict[tuple[int, int], int] = {}

    def add(self, z: int, planes: Planes) -> None:
        """Add the next rows of slice z."""
        ordered = sorted(planes, key=lambda name: (name != LABELS, name))
        single = (plane for name in ordered for plane in planes[name].reshape(-1, *planes[name].shape[-2:]))
        for number, plane in enumerate(single):
            self._planes[z, number] = zlib.crc32(np.ascontiguousarray(plane).data, self._planes.get((z, number), 0))

    @property
    def value(self) -> int:
        """The checksum of what was added."""
        return zlib.crc32(np.array([self._planes[key] for key in sorted(self._planes)], "<u4").data)


class ResultArrays:
    """The arrays of a result at full resolution; made by `ResultArrays.open`.

    Any process may write, as long as no other one writes to the same chunk (`layout.CHUNK` rows and columns of one
    slice). They can be pickled and are opened again where they are needed.

    Attributes:
        folder: the result's group.
        shape: (slices, rows, columns).
        own: this package's metadata of the result.
        phases: number of phases K, the highest label allowed; 0 allows every label.
        levels: by name the arrays of all levels of ``labels`` and each map, the full one first: (slices, rows, columns)
            or (K, slices, rows, columns).
    """

    def __init__(self, folder: Path, own: Mapping[str, Any]) -> None:
        self.folder, self.own = folder, own
        maps, self.phases = map_names(own["maps"]), int(own["phases"])
        full = layout.open_level(folder / "0")
        self.shape: tuple[int, int, int] = (full.shape[0], full.shape[1], full.shape[2])
        self.levels: dict[str, tuple[layout.Level, ...]] = {LABELS: self._open(folder)}
        self.levels |= {name: self._open(folder / name) for name in maps}

    @classmethod
    def open(cls, folder: Path) -> "ResultArrays":
        """Open the arrays of a result, finished or in progress.

        Raises:
            StackError: there is no result, or it is damaged.
        """
        try:
            own = read_own(folder, "begin again") or {}
            return cls(folder, own)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StackError(
                f"{folder} is not a result or a damaged one ({type(error).__name__}: {error}); segment again with "
                "--overwrite or choose another name (--labels NAME)"
            ) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return ResultArrays.open, (self.folder,)

    def write(self, z: int, rect: Rect, planes: Planes) -> None:
        """Write a rectangle of slice z.

        Raises:
            StackError: the rectangle lies outside the stack, maps are missing or too many, shapes, types or labels are
                wrong, or the disk cannot write. A damaged chunk in the way is erased before, so that the next run
                can do again what it held.
        """
        self._check(z, rect, planes)
        for name, level, index in self._parts(z, rect):
            try:
                layout.write(level, index, planes[name])
            except StackError:
                blocks.erase_damaged(level, index)
                raise

    def read(self, z: int, rect: Rect) -> Planes:
        """Read a rectangle of slice z.

        Raises:
            StackError: it is damaged.
        """
        return {name: layout.read(level, index) for name, level, index in self._parts(z, rect)}

    def checksum(self, region: Region) -> int:
        """Read what is stored in a region and take its `Checksum`.

        Raises:
            StackError: a chunk is damaged.
        """
        checksum = Checksum()
        for z in region.z.range:
            for rows in region.y.split(layout.CHUNK):
                checksum.add(z, self.read(z, Rect(rows, region.x)))
        return checksum.value

    def erase_damaged(self, region: Region) -> None:
        """Erase every unreadable chunk of a region, so that it can be written again."""
        for z in region.z.range:
            for _, level, index in self._parts(z, region.rect):
                blocks.erase_damaged(level, index)

    def _open(self, group: Path) -> tuple[layout.Level, ...]:
        count = len(level_shapes(*self.shape[1:]))
        return tuple(layout.open_level(group / str(level), writable=True) for level in range(count))

    def _parts(self, z: int, rect: Rect) -> Iterator[tuple[str, layout.Level, layout.Index]]:
        """Where a rectangle lies in each of the arrays."""
        for name, (full, *_) in self.levels.items():
            yield name, full, (*(slice(None) for _ in full.shape[:-3]), z, *rect.index)

    def _check(self, z: int, rect: Rect, planes: Planes) -> None:
        slices, rows, columns = self.shape
        if not 0 <= z < slices or rect.intersect(Rect.whole(self.shape)) != rect:
            raise StackError(
                f"slice {z}, rows {rect.y} and columns {rect.x} do not lie in the stack; give a part of its {slices} "
                f"slices of {rows} x {columns}"
            )
        for name in {**self.levels, **planes}:
            if name not in planes:
                raise StackError(f"{self.folder.name} has {name}; give it with every write")
            if name not in self.levels:
                raise StackError(f"{self.folder.name} has no {name}; leave it out")
            wanted = (*self.levels[name][0].shape[:-3], *rect.shape)
            if planes[name].shape != wanted or planes[name].dtype != np.uint8:
                raise StackError(
                    f"{name} is {planes[name].dtype} of shape {planes[name].shape} and must be uint8 of shape {wanted}"
                )
        highest = int(planes[LABELS].max(initial=0))
        if highest > (self.phases or 255):
            raise StackError(
                f"labels of slice {z} hold {highest} and the phases end at {self.phases}; write values of phases"
            )


def map_names(stored: Mapping[str, bool] | Sequence[str]) -> list[str]:
    """Return the maps that a result's JSON names; in earlier versions it listed for every map whether it was stored.

    Raises:
        ValueError: a name that a map cannot have: it is a folder's, and nothing outside the result is opened.
    """
    names = [name for name, kept in stored.items() if kept] if isinstance(stored, Mapping) else list(stored)
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is not a map")
    return names
