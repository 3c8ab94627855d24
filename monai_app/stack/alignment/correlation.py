"""Pictures made smaller, and how alike two are at every move of one against the other, by the Fourier transform."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

Floats = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]
"""Half of the Fourier plane of a picture (rows, columns): (rows, columns // 2 + 1)."""
Shape = tuple[int, int]


def reduced(plane: npt.NDArray[np.integer], factor: int) -> Floats:
    """The means of blocks of ``factor`` x ``factor`` pixels; rows and columns that fill no block are left out.

    Example:
        >>> reduced(np.array([[1, 3, 9], [1, 3, 9]], np.uint8), 2).tolist()
        [[2.0]]
    """
    rows, columns = (length // factor for length in plane.shape)
    cropped = plane[: rows * factor, : columns * factor]
    lines = cropped.reshape(rows, factor, columns * factor).sum(axis=1, dtype=np.uint32)
    means: Floats = lines.reshape(rows, columns, factor).sum(axis=2, dtype=np.float32)
    means /= np.float32(factor**2)
    return means


def normalised(spectrum: Spectrum, shape: Shape) -> Spectrum:
    """A spectrum of a picture of mean 0, divided by the root of the sum of the picture's squares; 0 stays 0."""
    # Parseval: the half plane counts twice, but for its first column (and last, which is negligible here).
    first = spectrum[:, 0]
    total = 2 * float(np.vdot(spectrum, spectrum).real) - float(np.vdot(first, first).real)
    power = total / (shape[0] * shape[1])
    return np.asarray(spectrum / np.float32(np.sqrt(power)), np.complex64) if power > 0 else spectrum


def correlate(first: Spectrum, second: Spectrum, shape: Shape) -> Floats:
    """How well the second picture, moved back by (row, column), agrees with the first; moves wrap around.

    The classical cross-correlation; of normalised spectra at most 1.
    """
    return np.asarray(fft.irfft2(second * np.conj(first), shape), np.float32)


@dataclass(frozen=True)
class Peak:
    """The best move of a correlation.

    Args:
        move: what must be added to a place (row, column) in the first picture to find it in the second, pixels.
        height: the correlation there.
        near: the correlation at all moves that were allowed.
    """

    move: tuple[float, float]
    height: float
    near: Floats

    @property
    def sharpness(self) -> float:
        """How many standard deviations (from the median deviation) it stands out of all moves."""
        middle = float(np.median(self.near))
        spread = 1.4826 * float(np.median(np.abs(self.near - middle)))
        return (self.height - middle) / spread if spread > 0 else 0.0


def find_peak(correlation: Floats, reach: Shape) -> Peak:
    """The highest point within ``reach`` rows and columns of no move, by a parabola through its neighbours."""
    rows, columns = (min(most, (size - 1) // 2) for most, size in zip(reach, correlation.shape, strict=True))
    near = np.roll(correlation, (rows, columns), (0, 1))[: 2 * rows + 1, : 2 * columns + 1]
    y, x = np.unravel_index(int(near.argmax()), near.shape)
    down = y - rows + _vertex(near[:, x], int(y))
    along = x - columns + _vertex(near[y, :], int(x))
    return Peak((float(down), float(along)), float(near[y, x]), near)


def _vertex(line: Floats, place: int) -> float:
    """Where between its neighbours the highest point lies, -0.5 to 0.5."""
    if not 0 < place < len(line) - 1:
        return 0.0
    before, top, after = (float(value) for value in line[place - 1 : place + 2])
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
