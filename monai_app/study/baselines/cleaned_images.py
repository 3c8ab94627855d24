"""Images of a stack, cleaned when they are read."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect
from monai_app.stack import SlabSource
from monai_app.study.baselines.cleaning import Cleaning, clean


class CleanedImages(SlabSource):
    """A stack, cleaned slice by slice when it is read; what was read is kept.

    Args:
        stack: as it was recorded.
        cleaning: how the images of each detector are cleaned.
    """

    def __init__(self, stack: SlabSource, cleaning: Mapping[str, Cleaning]) -> None:
        self.path, self.detectors, self.gaps = stack.path, stack.detectors, stack.gaps
        self.shape, self.dtype = stack.shape, stack.dtype
        self._stack, self._cleaning = stack, cleaning
        self._cleaned: dict[tuple[str, int], npt.NDArray[np.integer]] = {}

    def _plane(self, channel: int, z: int, rect: Rect) -> npt.NDArray[np.integer]:
        detector = self.detectors[channel]
        if (detector, z) not in self._cleaned:
            (image,) = self._stack.read_slab(z, [detector], 1)
            self._cleaned[detector, z] = clean(image, self._cleaning[detector])
        return self._cleaned[detector, z][rect.index]
