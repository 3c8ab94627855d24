"""Measures of one slice of one detector: grey values, noise, focus. Every pixel is read once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.integer]
"""One slice of one detector: (rows, columns), uint8 or uint16."""

BINS = 64
"""Bins of a histogram that is kept for every slice."""

_STRIPE = 2**18
"""Pixels that are measured at a time, so that they stay in the processor's cache."""

_STRUCTURE = 0.02
"""Share of a slice's variance that neighbouring pixels must have in common, or there is no structure to be sharp."""

_NORMAL_MEDIAN = 0.674490
"""Median of the magnitude of a standard normal variable."""


@dataclass(frozen=True)
class Greys:
    """What the histogram of a slice says.

    Args:
        mean: grey value.
        contrast: standard deviation of the grey values.
        low: share of the pixels of value 0.
        high: share of the pixels of the highest value that the slice has.
        highest: this value.
        histogram: share of the pixels in each of `BINS` equal parts of the range of the pixel type.
    """

    mean: float
    contrast: float
    low: float
    high: float
    highest: int
    histogram: npt.NDArray[np.float32]


def measure_greys(plane: Plane) -> Greys:
    """Count the grey values of a slice, (rows, columns).

    Example:
        >>> greys = measure_greys(np.array([[0, 0], [100, 255]], np.uint8))
        >>> greys.mean, greys.low, greys.high
        (88.75, 0.5, 0.25)
    """
    values = int(np.iinfo(plane.dtype).max) + 1
    counts = np.zeros(values, np.int64)
    for stripe in _stripes(plane):
        counts += np.bincount(stripe.ravel(), minlength=values)
    shares = counts / plane.size
    greys = np.arange(values)
    mean = float(shares @ greys)
    found = np.flatnonzero(counts)
    return Greys(
        mean,
        float(np.sqrt(shares @ (greys - mean) ** 2)),
        float(shares[0]),
        float(shares[found[-1]]),
        int(found[-1]),
        shares.reshape(BINS, -1).sum(axis=1).astype(np.float32),
    )


def measure_noise(plane: Plane) -> float:
    """Standard deviation of the noise of a slice, (rows, columns), in grey values.

    The median magnitude of the finest diagonal Haar coefficients over 0.6745 (Donoho & Johnstone 1994,
    doi:10.1093/biomet/81.3.425). Vertical and horizontal streaks and smooth structure cancel in them, and the median
    leaves out edges. Noise is taken as independent from pixel to pixel: where a microscope filters it, less is found.
    0 where the slice has no 2 x 2 pixels.
    """
    rows, columns = (2 * (length // 2) for length in plane.shape)
    counts = np.zeros(2 * int(np.iinfo(plane.dtype).max) + 1, np.int64)
    for stripe in _stripes(plane[:rows, :columns]):
        rises = np.subtract(stripe[::2], stripe[1::2], dtype=np.int32)
        magnitudes = np.abs(rises[:, ::2] - rises[:, 1::2])
        counts += np.bincount(magnitudes.ravel(), minlength=len(counts))
    total = counts.sum()
    if total == 0:
        return 0.0
    return _median(counts) / 2 / _NORMAL_MEDIAN


def _median(counts: npt.NDArray[np.int64]) -> float:
    """Median magnitude of integers that stand for values rounded to them, from how often each occurs."""
    below = np.cumsum(counts)
    place = int(np.searchsorted(below, below[-1] / 2))
    inside = (below[-1] / 2 - (below[place] - counts[place])) / counts[place]
    # Magnitude 0 stands for -0.5..0.5, n for n-0.5..n+0.5.
    return float(inside / 2 if place == 0 else place - 0.5 + inside)


def measure_focus(plane: Plane, mean: float) -> float:
    """How sharp a slice, (rows, columns), is, between 0 and about 1, independent of brightness, contrast and noise.

    Vollath's F4 (J. Microscopy 147 (1987) 279, doi:10.1111/j.1365-2818.1987.tb02839.x), the autocovariance at a
    distance of 1 pixel less that at 2, over the former. Noise that is independent from pixel to pixel adds to neither.
    NaN where a slice shows next to nothing but noise.

    Args:
        plane: the slice.
        mean: its mean grey value.
    """
    near = far = total = 0.0
    for stripe in _stripes(plane):
        grey = stripe.astype(np.float32)
        grey -= np.float32(mean)
        total += 2 * float(np.vdot(grey, grey))
        near += _lagged(grey, 1)
        far += _lagged(grey, 2)
    return (near - far) / near if near > _STRUCTURE * total else float("nan")


def _lagged(grey: npt.NDArray[np.float32], lag: int) -> float:
    """Sum over rows of grey times the grey ``lag`` pixels below, and beside."""
    below = float(np.vdot(grey[lag:], grey[:-lag])) if len(grey) > lag else 0.0
    return below + float(np.einsum("ij,ij->i", grey[:, lag:], grey[:, :-lag]).sum(dtype=np.float64))


def _stripes(plane: Plane) -> list[Plane]:
    """Views of an even number of rows each."""
    step = 2 * max(_STRIPE // (2 * max(plane.shape[1], 1)), 1)
    return [plane[row : row + step] for row in range(0, plane.shape[0], step)]
