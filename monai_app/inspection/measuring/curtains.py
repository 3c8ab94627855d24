"""How strong curtains are and how they lean, from the power spectrum of a slice.

Curtains are long in one direction and narrow across it, so they occupy a small wedge of the Fourier plane (Schwartz,
..., Hovden, Microsc. Microanal. 2019, doi:10.1017/S1431927619000254), at all frequencies that their widths have. Each
frequency is divided by its mean power over all directions, so that coarse structure, which has few waves and much
power, does not look like a direction; a wedge then stands out from the directions beside it. What it holds above the
mean of all directions is taken for the curtains'.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import gaussian_filter1d

from monai_app.stack.alignment.correlation import Floats

LONGEST = 1024
"""Longest side of the image that is transformed: finer streaks of larger slices are not seen."""

_STEP = 0.5
"""Degrees of a bin of directions."""

_SEARCHED = 30.0
"""Curtains lean by so many degrees from the vertical at most (y is the milling direction)."""

_WIDTH = 1.0
"""Degrees over which directions are smoothed; a streak of 100 pixels and 8 wide spreads over three."""

_BESIDE = 5.0
"""Degrees from a wedge to the directions that it is compared with."""

_FREQUENCIES = (0.012, 0.35)
"""Cycles a pixel: above shading of the whole slice, below the corners of the spectrum."""

_RINGS = 3
"""Rings of frequencies to the octave."""

_PEAK = 1.33
"""A direction counts from so many times the power of those beside it: structure, simulated and real, reaches 1.25."""

_SECOND = 1.2
"""The same for another direction beside a first one: a rocking mill leaves two."""

_SHARE = 0.2
"""How far the other direction rises above the usual, as a share of the first one's rise, to count."""


@dataclass(frozen=True)
class Curtaining:
    """Curtains of a slice.

    Args:
        strength: standard deviation of what they add, as a share of the mean grey value.
        angles: how they lean from the vertical, degrees, the strongest first; positive ones lean to the right going
            down. Empty if there are none.
    """

    strength: float
    angles: tuple[float, ...]


@dataclass(frozen=True)
class _Frame:
    """What belongs to a shape: a window, where every frequency belongs, and how many belong there.

    Without the window the edges of the image would stand on the axes of the spectrum, where curtains are.
    """

    window: Floats
    places: npt.NDArray[np.intp]
    counts: npt.NDArray[np.float64]
    """(directions, rings)."""


def measure_curtains(image: Floats) -> Curtaining:
    """Measure the curtains of a slice, (rows, columns)."""
    mean = float(image.mean())
    if min(image.shape) < 16 or image.min() == image.max():
        return Curtaining(0.0, ())
    frame = _frame(*image.shape)
    power = np.abs(scipy.fft.rfft2((image - np.float32(mean)) * frame.window)) ** 2
    sums = np.bincount(frame.places.ravel(), weights=power.ravel(), minlength=frame.counts.size + 1)[:-1]
    # Twice, as the transform of real numbers has half the plane; Parseval's theorem makes it a variance.
    variance = sums.reshape(frame.counts.shape) * 2 / image.size / float((frame.window**2).sum())
    return _wedges(variance, frame.counts, mean)


def _wedges(variance: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], mean: float) -> Curtaining:
    """Find up to two wedges near the horizontal axis of the spectrum.

    Args:
        variance: (directions, rings).
        counts: frequencies in each.
        mean: grey value.
    """
    usual = variance.sum(axis=0) / np.maximum(counts.sum(axis=0), 1)
    density = _smooth((variance / np.maximum(usual, 1e-30)).sum(axis=1)) / _smooth(counts.sum(axis=1))
    directions = (np.arange(len(density)) + 0.5) * _STEP - 90
    beside = round(_BESIDE / _STEP)
    rise = density / np.maximum(np.roll(density, beside), np.roll(density, -beside))
    rise[np.abs(directions) > _SEARCHED] = 0
    angles: list[float] = []
    excess = height = 0.0
    for least in (_PEAK, _SECOND):
        peak = int(np.argmax(rise * density))
        if rise[peak] < least or density[peak] - 1 < _SHARE * height:
            break
        height = float(density[peak]) - 1
        wedge = np.abs(directions - directions[peak]) < _BESIDE
        above_usual = (variance - usual * counts)[wedge & (rise >= 0)].sum(axis=0)
        excess += float(np.maximum(above_usual, 0).sum())  # less than usual is chance, of the few coarse waves
        above = np.maximum(density - density[wedge].min(), 0) * (np.abs(directions - directions[peak]) < _BESIDE / 2)
        # A streak is at a right angle to its wave vector; rows are counted downwards.
        angles.append(-float(above @ directions / above.sum()))
        rise[wedge] = -1
    return Curtaining(float(np.sqrt(max(excess, 0))) / mean, tuple(angles))


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    smoothed: npt.NDArray[np.float64] = gaussian_filter1d(values, _WIDTH / _STEP, mode="wrap")
    return smoothed


@lru_cache(maxsize=4)
def _frame(rows: int, columns: int) -> _Frame:
    window = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1]).astype(np.float32)
    down, along = scipy.fft.fftfreq(rows)[:, None], scipy.fft.rfftfreq(columns)[None]
    least, most = _FREQUENCIES
    length = np.hypot(down, along).clip(least / 2)
    directions, rings = round(180 / _STEP), int(np.log2(most / least) * _RINGS) + 1
    direction = np.floor((np.degrees(np.arctan2(down, along)) + 90) / _STEP).clip(0, directions - 1)
    places = (direction * rings + np.floor(np.log2(length / least) * _RINGS)).astype(np.intp)
    places[(length < least) | (length > most)] = directions * rings
    counts = np.bincount(places.ravel(), minlength=directions * rings + 1)[:-1].reshape(directions, rings)
    return _Frame(window, places, counts.astype(np.float64))
