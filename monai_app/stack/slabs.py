"""What slabs are read from: a store, or arrays in memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect
from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError, StackError
from monai_app.stack.ngff.pyramid import smallest_image

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))


class SlabSource(ABC):
    """The images of a stack, whatever holds them.

    Attributes:
        path: where they come from, for messages.
        detectors: the detector names in channel order.
        shape: (slices, rows, columns).
        dtype: uint8 or uint16.
        gaps: slices before which others are missing: no slab reaches across.
    """

    path: Path
    detectors: tuple[str, ...]
    shape: tuple[int, int, int]
    dtype: np.dtype[np.integer]
    gaps: tuple[int, ...] = ()

    def read_slab(
        self, z: int, detectors: Sequence[str], slices: int, rect: Rect | None = None
    ) -> npt.NDArray[np.integer]:
        """Read the slab around a slice.

        Args:
            z: the target slice, counted from 0.
            detectors: detector names, in the order wanted.
            slices: odd number of slices; at the ends of the stack and at gaps the last slice is repeated.
            rect: rows and columns; the whole slice where None.

        Returns:
            (slices * detectors, rows, columns) in the data type of the stack, slice-major: for 3 slices of ICE and
            TLD they are z-1:ICE, z-1:TLD, z:ICE, z:TLD, z+1:ICE, z+1:TLD.

        Raises:
            StackError: there is no such slice.
            ConfigError: there is no such detector, or the number of slices is not odd.
        """
        self.check_slice(z)
        channels = [self._channel(name) for name in detectors]
        if not channels:
            raise ConfigError(f"no detector is requested; give at least one of {', '.join(self.detectors)}")
        order = Slab(slices).indices(z, self.shape[0], self.gaps)
        part = rect or Rect.whole(self.shape)
        read = {near: [self._plane(channel, near, part) for channel in channels] for near in set(order)}
        return np.stack([plane for near in order for plane in read[near]])

    def read_overview(self, z: int, detectors: Sequence[str]) -> npt.NDArray[np.integer]:
        """Read a slice on the smallest level of its pyramid.

        Returns:
            (detectors, rows, columns) in the data type of the stack, rows and columns 512 at most.

        Raises:
            StackError: there is no such slice.
            ConfigError: there is no such detector.
        """
        self.check_slice(z)
        return np.stack([self._overview(self._channel(name), z) for name in detectors])

    def inside(self, z: int, rect: Rect) -> npt.NDArray[np.bool_] | None:
        """Where in a rectangle of slice z the detectors' pictures have pixels: (rows, columns); None for everywhere.

        Slices that were moved when they were ingested have none at some edges; the pixels there are repeated.
        """
        return None

    def check_slice(self, z: int) -> None:
        """Check that there is a slice z.

        Raises:
            StackError: there is none.
        """
        if not 0 <= z < self.shape[0]:
            raise StackError(f"slice {z} does not exist; {self.path.name} has slices 0 to {self.shape[0] - 1}")

    @abstractmethod
    def _plane(self, channel: int, z: int, rect: Rect) -> npt.NDArray[np.integer]:
        """Read (rows, columns) of one detector's image of slice z."""

    def _overview(self, channel: int, z: int) -> npt.NDArray[np.integer]:
        return smallest_image(self._plane(channel, z, Rect.whole(self.shape)))

    def _channel(self, detector: str) -> int:
        if detector not in self.detectors:
            raise ConfigError(
                f"detector {detector!r} does not exist; {self.path.name} has {', '.join(self.detectors)}; name one"
            )
        return self.detectors.index(detector)


class ArrayStack(SlabSource):
    """Images in memory that are read like a stack.

    Args:
        detectors: the detector names, all different.
        pixels: (detectors, slices, rows, columns), uint8 or uint16; kept, not copied.
        path: where they come from, for messages.

    Raises:
        StackError: the array has another shape or type, or names are missing or equal.

    Example:
        >>> stack = ArrayStack(["ICE", "TLD"], np.zeros((2, 5, 8, 9), np.uint8))
        >>> stack.read_slab(4, ["TLD"], 3).shape
        (3, 8, 9)
    """

    def __init__(
        self, detectors: Sequence[str], pixels: npt.NDArray[np.integer], path: Path = Path("arrays in memory")
    ) -> None:
        if pixels.ndim != 4 or 0 in pixels.shape:
            raise StackError(f"pixels of shape {pixels.shape}: give (detectors, slices, rows, columns), none of them 0")
        if pixels.dtype not in _DTYPES:
            raise StackError(f"pixels of type {pixels.dtype}: must be uint8 or uint16, as they were recorded")
        if len(detectors) != pixels.shape[0] or len(set(detectors)) != len(detectors):
            raise StackError(
                f"detectors {', '.join(detectors)}: the pixels are of {pixels.shape[0]}; give each a different name"
            )
        self.path, self.detectors = path, tuple(detectors)
        self.shape: tuple[int, int, int] = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
        self.dtype: np.dtype[np.integer] = pixels.dtype
        self._pixels = pixels

    def _plane(self, channel: int, z: int, rect: Rect) -> npt.NDArray[np.integer]:
        return self._pixels[(channel, z, *rect.index)]
