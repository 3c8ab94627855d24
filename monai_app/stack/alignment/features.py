"""What pictures are compared by when they are aligned: a band of spatial frequencies without curtains."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from monai_app.stack.alignment.correlation import Floats, Shape, Spectrum, normalised

_WEDGE_DEG = 15.0
"""Frequencies this near to the horizontal are left out: vertical curtains, 0 to 7 degrees askew, lie there."""

_TAPER = 0.25
"""Share of a picture's edge over which it fades to nothing, on either side."""


@dataclass(frozen=True)
class Feature:
    """A difference of two Gaussians, of which detectors of any contrast have the magnitude in common.

    Args:
        fine: sd of the narrow Gaussian, pixels; noise below it is left out.
        coarse: sd of the wide one; shading above it is left out.
        magnitude: take the magnitude, so that bright on dark and dark on bright are the same.
    """

    fine: float
    coarse: float
    magnitude: bool = False

    def spectrum(self, picture: Floats) -> Spectrum:
        """The normalised spectrum of the feature of a picture (rows, columns)."""
        shape = (picture.shape[0], picture.shape[1])
        window = _window(shape)
        found = fft.rfft2((picture - picture.mean()) * window) * _band(shape, self.fine, self.coarse)
        if self.magnitude:
            size = np.abs(fft.irfft2(found, shape))
            found = fft.rfft2((size - size.mean()) * window) * _band(shape, 0.0, 4 * self.coarse)
        return normalised(np.asarray(found, np.complex64), shape)


SLICES = Feature(1.5, 6.0)
"""For slices of one detector."""

DETECTORS = Feature(1.0, 2.0, magnitude=True)
"""For detectors: edges and small things, whatever their contrast."""


@lru_cache(maxsize=8)
def _window(shape: Shape) -> Floats:
    down, along = (_fading(size) for size in shape)
    return np.asarray(np.outer(down, along), np.float32)


def _fading(size: int) -> npt.NDArray[np.float64]:
    ends = max(1, int(size * _TAPER))
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ends) + 0.5) / ends)
    return np.concatenate([rise, np.ones(max(0, size - 2 * ends)), rise[::-1]])[:size]


@lru_cache(maxsize=16)
def _band(shape: Shape, fine: float, coarse: float) -> Floats:
    down, along = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None]
    square = (2 * np.pi) ** 2 * (down**2 + along**2)
    band = np.exp(-square * fine**2 / 2) - np.exp(-square * coarse**2 / 2)
    band[np.abs(down) < np.tan(np.deg2rad(_WEDGE_DEG)) * along] = 0
    band[:, 0] = 0  # of rows whose brightness flickers, and of the charging of whole rows
    return np.asarray(band, np.float32)
