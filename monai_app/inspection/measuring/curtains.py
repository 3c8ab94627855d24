"""How strong curtains are and how they lean, from the power spectrum of a slice.

Curtains are long across the milling direction's normal and narrow along it, so they occupy a small wedge of the
Fourier plane (Schwartz, ..., Hovden, Microsc. Microanal. 2019, doi:10.1017/S1431927619000254). What a wedge holds above
the directions beside it is taken for theirs: noise and structure are in these alike.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import gaussian_filter1d

from monai_app.inspection.measuring.slices import Reduced

LONGEST = 1024
"""Longest side of the image that is transformed: finer streaks of larger slices are not seen."""

_STEP = 0.5
"""Degrees of a bin of directions."""

_SEARCHED = 30.0
"""Curtains lean by so many degrees from the vertical at most (y is the milling direction)."""

_WIDTH = 1.0
"""Degrees over which the spectrum is smoothed; a streak of 100 pixels and 8 wide spreads over three."""

_BESIDE = 5.0
"""Degrees from a wedge to the directions that it is compared with."""

_FREQUENCIES = (0.012, 0.35)
"""Cycles a pixel: above shading of the whole slice, below the corners of the spectrum."""

_PEAK = 1.45
"""A direction counts from so many times the power of those beside it: structure alone stays below."""

_SECOND = 0.35
"""A second direction counts from this share of the first one's peak: a rocking mill leaves two."""


@dataclass(frozen=True)
class Curtaining:
    """Curtains of a slice.

    Args:
        strength: standard deviation of what they add, as a share of the mean grey value.
        angles: how they lean from the vertical, degrees, the strongest first; positive ones lean to the right going
            down. Empty where there are none.
    """

    strength: float
    angles: tuple[float, ...]


def measure_curtains(image: Reduced) -> Curtaining:
    """Measure the curtains of a slice, (rows, columns)."""
    rows, columns = image.shape
    mean = float(image.mean())
    if min(rows, columns) < 16 or mean <= 0:
        return Curtaining(0.0, ())
    window, bins, cells = _frame(rows, columns)
    power = np.abs(scipy.fft.rfft2((image - np.float32(mean)) * window)) ** 2
    found = np.bincount(bins.ravel(), weights=power.ravel(), minlength=len(cells) + 1)[:-1]
    # Twice, as the transform of real numbers has half the plane; Parseval's theorem makes it a variance.
    variance = 2 * found / (rows * columns) / float((window**2).sum())
    return _wedges(variance, cells, mean)


def _wedges(variance: npt.NDArray[np.float64], cells: npt.NDArray[np.int64], mean: float) -> Curtaining:
    """Find up to two wedges near the horizontal axis of the spectrum, in the variance of every direction."""
    density = _smooth(variance) / _smooth(cells.astype(np.float64))
    directions = (np.arange(len(cells)) + 0.5) * _STEP - 90
    beside = round(_BESIDE / _STEP)
    sides = np.roll(density, beside), np.roll(density, -beside)
    rise = np.where(np.abs(directions) <= _SEARCHED, density / np.maximum(*sides), 0)
    angles: list[float] = []
    excess, height = 0.0, 0.0
    while len(angles) < 2:
        peak = int(np.argmax(rise * density))
        base = (sides[0][peak] + sides[1][peak]) / 2
        if rise[peak] < _PEAK or density[peak] - base < _SECOND * height:
            break
        wedge = np.abs(directions - directions[peak]) < _BESIDE
        above = np.maximum(density - base, 0) * wedge
        excess, height = excess + float(above @ cells), float(density[peak] - base)
        # A streak is at a right angle to its wave vector; rows are counted downwards.
        angles.append(-float(above @ directions / above.sum()))
        rise[wedge] = 0
    return Curtaining(float(np.sqrt(excess)) / mean, tuple(angles))


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    smoothed: npt.NDArray[np.float64] = gaussian_filter1d(values, _WIDTH / _STEP, mode="wrap")
    return smoothed


@lru_cache(maxsize=4)
def _frame(rows: int, columns: int) -> tuple[Reduced, npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """A window that fades out at the edges, the direction bin of every frequency, and the frequencies of every bin.

    Without the window the edges of the image would stand on the axes of the spectrum, where curtains are.
    """
    window = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1]).astype(np.float32)
    down, along = scipy.fft.fftfreq(rows)[:, None], scipy.fft.rfftfreq(columns)[None]
    count = round(180 / _STEP)
    bins = np.floor((np.degrees(np.arctan2(down, along)) + 90) / _STEP).astype(np.intp).clip(0, count - 1)
    length = np.hypot(down, along)
    bins[(length < _FREQUENCIES[0]) | (length > _FREQUENCIES[1])] = count
    return window, bins, np.bincount(bins.ravel(), minlength=count + 1)[:-1]
