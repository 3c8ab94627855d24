"""A mask: what of each slice is segmented."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.errors import ConfigError, StackError
from monai_app.inference.tiling.plan import Tile
from monai_app.io.sources import open_planes
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import Planes


@dataclass(frozen=True)
class Mask:
    """What of each slice is segmented; elsewhere labels and maps are 0.

    Args:
        stack: the stack.
        source: name of a finished label image of the stack, whose labels above 0 are segmented, or path of an
            image file, (rows, columns) for all slices or (slices, rows, columns); ``None`` segments everything.

    Raises:
        ConfigError: there is no such label image or file, or its size is not the stack's.
    """

    stack: Stack
    source: str | None = None

    def __post_init__(self) -> None:
        if self.source is None or self.source in self.stack.label_names():
            return
        if not Path(self.source).is_file():
            raise ConfigError(
                f"mask {self.source!r} is neither an image file nor one of the label images of {self.stack.path.name}: "
                f"{', '.join(self.stack.label_names()) or 'it has none'}; give one of them (--mask)"
            )
        shape = _read_file(self.source).shape
        if shape not in (self.stack.shape, self.stack.shape[1:]):
            raise ConfigError(
                f"mask {self.source} is of shape {shape}; it must be {self.stack.shape[1:]} "
                f"(rows, columns) or {self.stack.shape}; give a mask of this stack (--mask)"
            )

    @property
    def identity(self) -> str | None:
        """What tells this mask from others: the label image's name, or the SHA-256 of the file's pixels."""
        if self.source is None or self.source in self.stack.label_names():
            return self.source
        return hashlib.sha256(_read_file(self.source).tobytes()).hexdigest()

    def read(self, z: int, rows: slice, columns: slice) -> npt.NDArray[np.bool_] | None:
        """Return (rows, columns), true where slice z is segmented; None where there is no mask."""
        if self.source is None:
            return None
        if self.source in self.stack.label_names():
            return self.stack.read_labels(self.source, z, (rows, columns)) > 0
        pixels = _read_file(self.source)
        kept: npt.NDArray[np.bool_] = (pixels if pixels.ndim == 2 else pixels[z])[rows, columns] > 0
        return kept

    def keeps(self, tile: Tile) -> bool:
        """Whether any pixel of a tile is segmented."""
        parts = (self.read(*box) for box in tile.boxes)
        return any(part is None or bool(part.any()) for part in parts)

    def apply(self, planes: Planes, z: int, row: int, column: int) -> Planes:
        """Set what lies outside to 0 in planes whose upper left pixel is (row, column) of slice z."""
        rows, columns = planes.labels.shape
        kept = self.read(z, slice(row, row + rows), slice(column, column + columns))
        if kept is None:
            return planes
        others = [None if plane is None else plane * kept for plane in (planes.confidence, planes.probability)]
        return Planes(planes.labels * kept, *others)


def _read_file(path: str) -> npt.NDArray[np.integer]:
    return _read_version(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_version(path: str, changed: int) -> npt.NDArray[np.integer]:
    """Read a file, once as long as it stays as it is: every tile asks for it."""
    try:
        planes = np.stack(list(open_planes(Path(path), labels=True).planes()))
    except StackError as error:
        raise ConfigError(f"mask {error}; or give the name of a label image (--mask)") from error
    return planes if len(planes) > 1 else planes[0]
