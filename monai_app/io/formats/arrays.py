"""Planes of an array that a library reads in parts: what HDF5, OME-Zarr and the formats of plugins have in common."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.io.base import PlaneFile, readable
from monai_app.io.parts import channels_of

_BLOCK = 1 << 28
"""Bytes that are read at a time, where a chunk holds several planes."""

_LARGEST_CHUNK = 1 << 29
"""Bytes of a chunk: it is unpacked as a whole."""


@dataclass(frozen=True)
class ArrayPlanes(PlaneFile):
    """The planes of an array whose last axes are rows and columns.

    Args:
        lead: lengths of the axes before rows and columns.
        depth: planes that are read at once, along the last of them.
        opened: opens the array.
    """

    lead: tuple[int, ...] = field(kw_only=True)
    depth: int = field(kw_only=True)
    opened: Callable[[], AbstractContextManager[Any]] = field(kw_only=True)

    def decode(self, indices: range) -> Iterator[npt.NDArray[Any]]:
        """Read planes one after the other: (rows, columns), in the machine's byte order."""
        with readable(self.path), self.opened() as array:
            held, block = None, np.empty(0)
            for index in indices:
                *outer, z = (int(place) for place in np.unravel_index(index, self.lead or (1,)))
                begin = z - z % self.depth
                if (*outer, begin) != held:
                    part = (*outer, slice(begin, begin + self.depth)) if self.lead else (...,)
                    block, held = np.asarray(array[part]), (*outer, begin)
                plane = block[z - begin] if self.lead else block
                yield plane.astype(plane.dtype.newbyteorder("="), copy=False)


def depth_of(shape: Sequence[int], chunks: Sequence[int] | None, dtype: np.dtype[Any]) -> int:
    """How many planes are read at once: those of a chunk, if the memory holds them.

    Args:
        shape: of the array.
        chunks: shape of a chunk; None if the array is stored in one piece.
        dtype: type of the values.

    Raises:
        StackError: a chunk is too large.
    """
    if chunks is None:
        return 1
    size = math.prod(chunks) * dtype.itemsize
    if size > _LARGEST_CHUNK:
        raise StackError(
            f"its chunks of {tuple(chunks)} take {size} bytes each and may take {_LARGEST_CHUNK}; save it with "
            "smaller ones"
        )
    if len(shape) < 3:
        return 1
    plane = max(1, math.prod(shape[-2:]) * dtype.itemsize)
    return max(1, min(chunks[-3], shape[-3], _BLOCK // plane))


def channels_along(axes: str, shape: Sequence[int], names: Sequence[str | None] = ()) -> Mapping[str, range]:
    """The planes of every channel of an array.

    Args:
        axes: a letter for each axis, as in ``tczyx``: the last two are rows and columns.
        shape: of the array.
        names: what the file calls its channels.

    Returns:
        As `PlaneFile.channels`.

    Raises:
        StackError: rows and columns are not the last axes, or there are others than slices and channels before them.

    Example:
        >>> dict(channels_along("czyx", (2, 3, 4, 5)))
        {'0': range(0, 3), '1': range(3, 6)}
    """
    leading = [(axis, length) for axis, length in zip(axes, shape, strict=True) if length > 1 and axis not in "yx"]
    if axes[-2:] != "yx" or any(axis not in "zc" for axis, _ in leading) or min(shape) < 1:
        raise StackError(
            f"its axes are {axes} with sizes {tuple(shape)} and must be slices (z) and channels (c) in any order, "
            "then rows (y) and columns (x); save it that way, with a separate file per time point"
        )
    count = dict(leading).get("c", 1)
    if count == 1:
        return {}
    known = names if len(names) == count else [None] * count
    return channels_of(known, math.prod(shape[:-2]) // count, outermost=[axis for axis, _ in leading] == ["c", "z"])


def unnamed_axes(shape: Sequence[int]) -> str:
    """The axes of an array that names none: rows and columns, slices before them.

    Raises:
        StackError: there are more.
    """
    if len(shape) < 2 or sum(length > 1 for length in shape[:-2]) > 1:
        raise StackError(
            f"it has axes of {tuple(shape)} without names, and must have slices, rows and columns; save every "
            "detector as a separate array, or name the axes"
        )
    return "".join("z" if length > 1 else "t" for length in shape[:-2]) + "yx"
