"""Labels of a stack for painting in napari, of which only painted slices are held in memory."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
"""(rows, columns): 0 unlabelled, 1..K the phases."""


class Planes:
    """Labels (slices, rows, columns) as an array that is read slice by slice, and painted.

    A painted slice stays in memory until it is dropped; of all others the last one read does. What napari's labels
    layer asks of an array is here: integers, slices and arrays of integers as indices.

    Args:
        shape: (slices, rows, columns).
        read: gives the labels of a slice, an array that nobody else changes.

    Attributes:
        painted: z -> labels (rows, columns) of the slices that were painted and not dropped.
        strokes: z -> how often the slice was painted.

    Example:
        >>> planes = Planes((3, 4, 5), lambda z: np.full((4, 5), z, np.uint8))
        >>> planes[2, 0, 0], planes[1:3, 0, 0].tolist()
        (np.uint8(2), [1, 2])
        >>> planes[2, 0, 0] = 1
        >>> sorted(planes.painted), planes[2, 0, 0]
        ([2], np.uint8(1))
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, shape: tuple[int, int, int], read: Callable[[int], Plane]) -> None:
        self.shape, self._read = shape, read
        self.size = shape[0] * shape[1] * shape[2]
        self.painted: dict[int, Plane] = {}
        self.strokes: Counter[int] = Counter()
        self._last: tuple[int, Plane] | None = None

    def plane(self, z: int) -> Plane:
        """The labels of a slice, not to be changed."""
        if z in self.painted:
            return self.painted[z]
        if self._last is None or self._last[0] != z:
            self._last = z, self._read(z)
        return self._last[1]

    def drop(self, z: int) -> None:
        """Forget what was painted on a slice: it is read again."""
        self.painted.pop(z, None)
        self._last = None

    def __getitem__(self, key: Any) -> Any:
        z, rest = _split(key)
        if isinstance(z, slice):
            return np.stack([self.plane(each)[rest] for each in range(*z.indices(self.shape[0]))])
        if np.ndim(z) == 0:
            return self.plane(int(z))[rest]
        values = np.empty(np.shape(z), np.uint8)
        for each, at in _by_slice(z):
            values[at] = self.plane(each)[tuple(index[at] for index in rest)]
        return values

    def __setitem__(self, key: Any, value: Any) -> None:
        z, rest = _split(key)
        if isinstance(z, slice):
            slices = range(*z.indices(self.shape[0]))
            for each, values in zip(slices, _for_each(value, len(slices)), strict=True):
                self._paintable(each)[rest] = values
        elif np.ndim(z) == 0:
            self._paintable(int(z))[rest] = value
        else:
            values = np.broadcast_to(np.asarray(value, np.uint8), np.shape(z))
            for each, at in _by_slice(z):
                self._paintable(each)[tuple(index[at] for index in rest)] = values[at]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of it, as NumPy asks for it."""
        return np.asarray(self[:], dtype)

    def _paintable(self, z: int) -> Plane:
        self.strokes[z] += 1
        return self.painted.setdefault(z, self.plane(z))


def _split(key: Any) -> tuple[Any, tuple[Any, ...]]:
    """The index of slices, and those of rows and columns."""
    return (key[0], tuple(key[1:])) if isinstance(key, tuple) else (key, ())


def _by_slice(z: npt.NDArray[np.integer]) -> list[tuple[int, npt.NDArray[np.bool_]]]:
    """Every slice among indices, and where it stands."""
    return [(int(each), z == each) for each in np.unique(z)]


def _for_each(value: Any, count: int) -> list[Any]:
    return [value] * count if np.ndim(value) == 0 else list(value)
