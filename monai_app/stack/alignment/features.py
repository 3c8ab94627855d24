"""What pictures are compared by: a band of spatial frequencies without curtains, and their normalised correlation."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

Floats = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]
Shape = tuple[int, int]

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
        """The spectrum (rows, columns // 2 + 1) of the feature of a picture (rows, columns)."""
        shape = (picture.shape[0], picture.shape[1])
        window = _window(shape)
        found = fft.rfft2((picture - picture.mean()) * window) * _band(shape, self.fine, self.coarse)
        if self.magnitude:
            size = np.abs(fft.irfft2(found, shape))
            found = fft.rfft2((size - size.mean()) * window) * _band(shape, 0.0, 4 * self.coarse)
        return np.asarray(found, np.complex64)


SLICES = Feature(1.5, 6.0)
"""For slices of one detector."""

DETECTORS = Feature(1.0, 2.0, magnitude=True)
"""For detectors: edges and small things, whatever their contrast."""


def energy(spectrum: Spectrum, shape: Shape) -> float:
    """The sum of squares of what a spectrum is of (Parseval)."""
    return 2 * float(np.vdot(spectrum, spectrum).real) / (shape[0] * shape[1])


def correlate(first: Spectrum, second: Spectrum, shape: Shape) -> Floats:
    """How well the second picture, moved back by (row, column), agrees with the first; moves wrap around."""
    return np.asarray(fft.irfft2(second * np.conj(first), shape), np.float32)


@dataclass(frozen=True)
class Peak:
    """The best move of a correlation.

    Args:
        move: rows and columns, parts of a pixel.
        height: the correlation there, at most 1.
        sharpness: how many standard deviations (from the median deviation) it stands out of all moves.
    """

    move: tuple[float, float]
    height: float
    sharpness: float


def find_peak(correlation: Floats, reach: Shape) -> Peak:
    """The highest point within ``reach`` rows and columns of no move, by a parabola through its neighbours."""
    rows, columns = (min(most, (size - 1) // 2) for most, size in zip(reach, correlation.shape, strict=True))
    near = np.roll(correlation, (rows, columns), (0, 1))[: 2 * rows + 1, : 2 * columns + 1]
    y, x = np.unravel_index(int(near.argmax()), near.shape)
    height, middle = float(near[y, x]), float(np.median(near))
    spread = 1.4826 * float(np.median(np.abs(near - middle)))
    down = y - rows + _vertex(near[:, x], int(y))
    along = x - columns + _vertex(near[y, :], int(x))
    return Peak((float(down), float(along)), height, (height - middle) / spread if spread > 0 else 0.0)


def _vertex(line: Floats, place: int) -> float:
    """Where between its neighbours the highest point lies, -0.5 to 0.5."""
    if not 0 < place < len(line) - 1:
        return 0.0
    before, top, after = (float(value) for value in line[place - 1 : place + 2])
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


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
