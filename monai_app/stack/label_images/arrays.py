"""The full-resolution arrays of a result, which several processes may write, and the checksums of what is written."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import zarr

from monai_app.errors import StackError
from monai_app.stack.ngff import chunks as blocks
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import level_shapes

MapKind = Literal["confidence", "probability"]
"""Name of a map, which is also its group inside the label image."""

Box = tuple[int, slice, slice]
"""A rectangle of one slice: z, rows, columns."""


@dataclass(frozen=True)
class Maps:
    """What is written beside the labels.

    Args:
        confidence: one byte a pixel, 0..255 for 0..1.
        probability: one byte a pixel and phase, 0..255 for 0..1.
    """

    confidence: bool = False
    probability: bool = False

    @property
    def kinds(self) -> tuple[MapKind, ...]:
        """The names of the maps that are written."""
        kinds: tuple[MapKind, ...] = ("confidence", "probability")
        return tuple(kind for kind in kinds if getattr(self, kind))


@dataclass(frozen=True)
class Planes:
    """A rectangle of one slice of a result, all uint8.

    Args:
        labels: (rows, columns), 1..K the phases, 0 outside the region or mask.
        confidence: (rows, columns), where the result has this map.
        probability: (K, rows, columns), where the result has this map.
    """

    labels: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.uint8] | None = None
    probability: npt.NDArray[np.uint8] | None = None

    def single(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Labels, then confidence, then the probability of each phase: (rows, columns) each."""
        yield self.labels
        if self.confidence is not None:
            yield self.confidence
        if self.probability is not None:
            yield from self.probability


class Checksum:
    """CRC-32 over a tile's pixels, taken while they are written or when they are read again.

    The rows of a slice are added from top to bottom in the full width of the tile; into how many pieces they are cut,
    and how the pieces of several slices alternate, does not matter.
    """

    def __init__(self) -> None:
        self._planes: dict[tuple[int, int], int] = {}

    def add(self, z: int, planes: Planes) -> None:
        """Add the next rows of slice z."""
        for number, plane in enumerate(planes.single()):
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
        maps: the maps that are there.
        shape: (slices, rows, columns).
        phases: number of phases K, the highest label allowed; 0 allows every label.
        levels: the arrays of all levels of ``labels`` and each map, the full one first.
    """

    def __init__(self, folder: Path, maps: Maps, phases: int) -> None:
        self.folder, self.maps, self.phases = folder, maps, phases
        full = zarr.open_array(folder, path="0", mode="r")
        self.shape: tuple[int, int, int] = (full.shape[0], full.shape[1], full.shape[2])
        self.levels: dict[str, tuple[layout.Level, ...]] = {"labels": self._open(folder)}
        self.levels |= {kind: self._open(folder / kind) for kind in maps.kinds}

    @classmethod
    def open(cls, folder: Path) -> "ResultArrays":
        """Open the arrays of a result, finished or in the making.

        Raises:
            StackError: there is no result, or it is damaged.
        """
        try:
            own: dict[str, Any] = zarr.open_group(folder, mode="r").attrs.asdict()[layout.OWN]  # type: ignore[assignment]
            return cls(folder, Maps(**own["maps"]), own["phases"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StackError(
                f"{folder} is no result or a damaged one ({type(error).__name__}: {error}); segment again with "
                "--overwrite or choose another name (--labels NAME)"
            ) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return ResultArrays.open, (self.folder,)

    def write(self, z: int, y: int, x: int, planes: Planes) -> None:
        """Write a rectangle of slice z whose upper left pixel is row y, column x.

        Raises:
            StackError: the rectangle lies outside the stack, maps are missing or too many, shapes, types or labels are
                wrong, or the disk cannot write. A damaged chunk in the way is erased before, so that the next run
                can do again what it held.
        """
        self._check(z, y, x, planes)
        rows, columns = planes.labels.shape
        box = (z, slice(y, y + rows), slice(x, x + columns))
        for kind, level, index in self._parts(box):
            try:
                layout.write(level, index, getattr(planes, kind))
            except StackError:
                blocks.erase_damaged(level, index)
                raise

    def read(self, box: Box) -> Planes:
        """Read a rectangle of one slice.

        Raises:
            StackError: it is damaged.
        """
        return Planes(**{kind: layout.read(level, index) for kind, level, index in self._parts(box)})

    def checksum(self, boxes: Iterable[Box]) -> int:
        """Read what is stored in rectangles and take its `Checksum`.

        Raises:
            StackError: a chunk is damaged.
        """
        checksum = Checksum()
        for z, rows, columns in boxes:
            for span in blocks.spans(rows.start, rows.stop, layout.CHUNK):
                checksum.add(z, self.read((z, span, columns)))
        return checksum.value

    def erase_damaged(self, boxes: Iterable[Box]) -> None:
        """Erase every unreadable chunk of rectangles, so that they can be written again."""
        for box in boxes:
            for _, level, index in self._parts(box):
                blocks.erase_damaged(level, index)

    def _open(self, group: Path) -> tuple[layout.Level, ...]:
        count = len(level_shapes(*self.shape[1:]))
        return tuple(zarr.open_array(group, path=str(level), mode="r+") for level in range(count))

    def _parts(self, box: Box) -> Iterator[tuple[str, layout.Level, layout.Index]]:
        """Where a rectangle lies in each of the arrays."""
        for kind, (full, *_) in self.levels.items():
            yield kind, full, (slice(None), *box) if kind == "probability" else box

    def _check(self, z: int, y: int, x: int, planes: Planes) -> None:
        slices, rows, columns = self.shape
        shape = planes.labels.shape
        if len(shape) != 2 or not (0 <= z < slices and 0 <= y <= rows - shape[0] and 0 <= x <= columns - shape[1]):
            raise StackError(
                f"labels of shape {shape} at z {z}, row {y}, column {x} do not lie in the stack; give (rows, columns) "
                f"inside {slices} slices of {rows} x {columns}"
            )
        self._check_values("labels", planes.labels, shape, True)
        self._check_values("confidence", planes.confidence, shape, self.maps.confidence)
        self._check_values("probability", planes.probability, (self.phases, *shape), self.maps.probability)
        highest = int(planes.labels.max(initial=0))
        if highest > (self.phases or 255):
            raise StackError(
                f"labels of slice {z} hold {highest} and the phases end at {self.phases}; write values of phases"
            )

    def _check_values(
        self, name: str, values: npt.NDArray[np.uint8] | None, shape: tuple[int, ...], wanted: bool
    ) -> None:
        if (values is not None) != wanted:
            has, remedy = ("has", "give it with every write") if wanted else ("has no", "leave it out")
            raise StackError(f"{self.folder.name} {has} {name}; {remedy}")
        if values is not None and (values.shape != shape or values.dtype != np.uint8):
            raise StackError(f"{name} is {values.dtype} of shape {values.shape} and must be uint8 of shape {shape}")
