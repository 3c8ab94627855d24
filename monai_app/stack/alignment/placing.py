"""Pixels of a picture that lies elsewhere, moved to where they belong; and which of them the picture does not have."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform

from monai_app.domain.region import Rect
from monai_app.stack.alignment.motion import Numbers, matrix

_WHOLE = 0.05
"""Pixels by which a move may differ from an integer of them to be taken for it: then pixels are copied, which an
interpolation would smooth for nothing."""


class Placement:
    """Where a picture lies, and what is where it belongs.

    Args:
        numbers: the transform from where things belong to where the picture has them, see `motion`.
        shape: (rows, columns) of the picture.
    """

    def __init__(self, numbers: Numbers, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._matrix = matrix(numbers)
        middle = (np.array(shape) - 1) / 2
        offset = numbers[:2] + middle - self._matrix @ middle
        near = np.rint(offset)
        self._whole = bool((np.abs(offset - near) <= _WHOLE).all()) and bool((self._matrix == np.eye(2)).all())
        self._offset = near if self._whole else offset

    def pixels(self, plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """Grey values (rows, columns) of the same type, by cubic splines; moves of whole pixels copy them.

        Where the picture has none they are those of its nearest pixel.
        """
        if self._whole:
            return self._copied(plane)
        limits = np.iinfo(plane.dtype)
        found = affine_transform(plane.astype(np.float32), self._linear, self._offset, order=3, mode="nearest")
        return np.asarray(np.clip(np.rint(found), limits.min, limits.max), plane.dtype)

    def labels(self, plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Labels (rows, columns) of the nearest pixel; 0 where the picture has none."""
        near = self._copied(plane) if self._whole else affine_transform(plane, self._linear, self._offset, order=0)
        return np.asarray(near * self.inside(Rect.whole(self._shape)), np.uint8)

    def inside(self, rect: Rect) -> npt.NDArray[np.bool_]:
        """Where in a rectangle the picture has pixels: (rows, columns)."""
        down, along = (np.arange(span.start, span.stop) for span in (rect.y, rect.x))
        found = np.ones(rect.shape, np.bool_)
        for axis, size in enumerate(self._shape):
            place = self._offset[axis] + self._matrix[axis, axis] * (down[:, None], along[None])[axis]
            if skew := self._matrix[axis, 1 - axis]:
                place = place + skew * (along[None], down[:, None])[axis]
            found &= (place >= -_WHOLE) & (place <= size - 1 + _WHOLE)
        return found

    @cached_property
    def _linear(self) -> Numbers:
        """The matrix; of a translation its diagonal, for which scipy is faster."""
        return np.ones(2) if (self._matrix == np.eye(2)).all() else self._matrix

    def _copied(self, plane: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        places = (np.arange(size) + int(by) for size, by in zip(self._shape, self._offset, strict=True))
        return plane[np.ix_(*(np.clip(place, 0, size - 1) for place, size in zip(places, self._shape, strict=True)))]
